// Who a node is and what is its own, at every route that agents have: generated from the routes of the Worker, so that a new one is in it.
import { beforeAll, describe, expect, it } from "vitest";
import { AGENT_PROTOCOL, type ProofClaims } from "../../contracts/agent-protocol.ts";
import { Problem } from "../../contracts/failures.ts";
import { PROOF_WINDOW_MS } from "../../core/link/too-late.ts";
import { app } from "../../workers/control/app.ts";
import { type Forgery, heartbeat, makeNode, type TestNode } from "./agent-node.ts";
import { clockGoesOn, stillClock } from "./still-clock.ts";

type Lane = ProofClaims["lane"];
interface AgentRoute {
  readonly method: string;
  readonly path: string;
  readonly lane: Lane;
}

const LANES: Readonly<Record<string, Lane>> = { "/agent/v1/poll": "poll", "/agent/v1/heartbeat": "heartbeat" };
const HASH = `sha256:${"11".repeat(32)}`;
/** An instance that no node has. */
const INSTANCE = "ins_01h455vb4pex5vsknk084sn02q";
const filled = (path: string): string =>
  path.replace(":instance", INSTANCE).replace(":hash", HASH).replace(":sha256", "11".repeat(32)) +
  (path.includes(":hash") ? `?instance=${INSTANCE}` : "");

/** Without enrolment, whose proof is of a key that nobody knows yet. */
const routes: AgentRoute[] = app.routes
  .filter(({ method, path }) => path.startsWith("/agent/v1/") && method !== "ALL" && path !== "/agent/v1/enrol")
  .map(({ method, path }) => ({ method, path: filled(path), lane: LANES[path] ?? "ask" }));

clockGoesOn();
let node: TestNode;
let other: TestNode;
beforeAll(async () => {
  [node, other] = await Promise.all([makeNode(), makeNode()]);
});

/** Right in shape for the routes whose shape is looked at before the object's word. */
const bodyOf = ({ method, path }: AgentRoute): unknown => {
  if (method === "GET") return undefined;
  if (path === "/agent/v1/heartbeat") return heartbeat();
  return { protocol: AGENT_PROTOCOL, ackRevision: 0, generation: 1, nonce: "a-nonce-of-16-chars" };
};
const call = (route: AgentRoute, forged: Forgery = {}, who = node): Promise<Response> =>
  who.call(route.method, route.path, bodyOf(route), route.lane, forged);

async function codeOf(answer: Response): Promise<string> {
  const text = await answer.text();
  return answer.ok ? `${answer.status} ${text.slice(0, 80)}` : Problem.parse(JSON.parse(text)).code;
}

describe.each(routes)("$method $path", (route) => {
  const FORGERIES: [string, () => Promise<Response>, RegExp][] = [
    ["without a proof", () => call(route, { proof: null }), /^proof_invalid$/],
    ["with another node's credential and its own key", () => call(route, { credential: other.credential }), /^proof_invalid$/], // prettier-ignore
    ["with its own credential and another node's key", () => call(route, { signedBy: other.keys }), /^proof_invalid$/],
    ["with a credential that is none", () => call(route, { credential: "x.y.z" }), /^credential_invalid$/],
    ["proven for another method", () => call(route, { claims: { htm: "DELETE" } }), /^proof_invalid$/],
    ["proven for another path", () => call(route, { claims: { htu: "/agent/v1/other" } }), /^proof_invalid$/],
    ["proven for another body", () => call(route, { claims: { bh: "A".repeat(43) } }), /^proof_invalid$/],
    ["proven for another lane", () => call(route, { claims: { lane: route.lane === "ask" ? "poll" : "ask" } }), /^proof_invalid$/], // prettier-ignore
    ["proven before the window", () => call(route, { claims: { iatMs: Date.now() - PROOF_WINDOW_MS - 1_000 } }), /^proof_invalid$/], // prettier-ignore
    ["proven after the window", () => call(route, { claims: { iatMs: Date.now() + PROOF_WINDOW_MS + 5_000 } }), /^proof_invalid$/], // prettier-ignore
  ];
  it.each(FORGERIES)("%s is refused", async (_name, send, code) => {
    stillClock();
    expect(await codeOf(await send())).toMatch(code);
  });

  it("takes a clock that is off by less than the window", async () => {
    stillClock();
    for (const offMs of [-PROOF_WINDOW_MS + 5_000, PROOF_WINDOW_MS - 5_000]) {
      expect(await codeOf(await call(route, { claims: { iatMs: Date.now() + offMs } }))).not.toBe("proof_invalid");
    }
  });
});

describe("a proof that was heard once, within its window", () => {
  it("is refused the second time wherever something is given out, changed or held", async () => {
    const told: Record<string, string> = {};
    for (const route of routes) {
      const text = route.method === "GET" ? "" : JSON.stringify(bodyOf(route));
      const proof = await node.prove(route.method, route.path, text, route.lane);
      const first = await call(route, { proof });
      // What its shape refused did nothing, and may be said again.
      if (first.status === 400) continue;
      await first.body?.cancel();
      told[route.path] = await codeOf(await call(route, { proof }));
    }
    expect(Object.keys(told).length).toBeGreaterThan(5);
    expect([...new Set(Object.values(told))], JSON.stringify(told)).toEqual(["proof_replayed"]);
  });
});

describe("a node that asks for an instance that is not its own", () => {
  it("finds nothing at any route that names one, in the words of what does not exist", async () => {
    const named = routes.filter(({ path }) => path.includes(INSTANCE));
    expect(named.length).toBeGreaterThan(1);
    for (const route of named) {
      const answer = await call(route, {}, other);
      expect([answer.status, route.path]).toEqual([404, route.path]);
      await answer.body?.cancel();
    }
  });
});
