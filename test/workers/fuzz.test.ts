// Generated inputs at every endpoint of the OpenAPI document: never a 5xx, never a hang, and each error a problem that says where.
// A hundred for each here, always the same; ten thousand others by each `npm run fuzz` (BERTH_FUZZ_RUNS, BERTH_FUZZ_SEED, BERTH_FUZZ_ONLY=operationId).
import fc from "fast-check";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { Problem } from "../../contracts/failures.ts";
import { mintId } from "../../db/ids.ts";
import { authenticate } from "../../workers/control/auth/index.ts";
import { unwrap } from "../../workers/control/http/respond.ts";
import { within } from "../../workers/within.ts";
import { ask, env, forEachOf, newPerson, newTeam, type Person } from "./access-world.ts";
import { knownCaller, requestOf, wholeWorker } from "./fuzz/doors.ts";
import { type Input, inputsOf, type Known, type Operation, type Parameter } from "./fuzz/inputs.ts";
import type { Components, Schema } from "./fuzz/values.ts";

const { runs, seed, only } = inject("fuzz");
/** Through the whole Worker: each asks Postgres who asks, and writes the audit. */
const WHOLE_RUNS = Math.max(1, Math.ceil(runs / 50));
const HANG_MS = 2_000;
/** Nobody waits longer for any answer: it is looked at again as a slow one is. */
const GIVEN_UP_MS = 10_000;
/** A slow answer is looked at again by itself: what an input costs, it costs every time; what a busy machine costs, it does not. */
const LOOKS = 3;
/** Enough to see what is wrong with an endpoint. */
const FAULTS_MAX = 5;
/** Made before they are sent: to make ten thousand takes so long, in which nothing is answered, that what goes on beside it is late. */
const AT_ONCE = 100;
/** These must say at which place: the request is at fault, not the state of things. */
const PLACED: ReadonlySet<string> = new Set(["invalid_request", "malformed_json"]);

type Described = Record<string, { operationId: string; parameters?: Parameter[]; requestBody?: { content: Record<string, { schema: Schema }> } }>; // prettier-ignore
let operations: Operation[] = [];
let components: Components = {};
let person: Person;
let known: Known;
let quick: (request: Request, operation: Operation) => Promise<Response>;

beforeAll(async () => {
  const { body } = await ask(null, "GET", "/openapi.json");
  components = body.components.schemas as Components;
  operations = Object.entries(body.paths as Record<string, Described>)
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId: id, parameters = [], requestBody }]) => ({
        ...{ id, path, parameters, method: method.toUpperCase() },
        bodies: Object.fromEntries(
          Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) => [type, schema]),
        ),
      })),
    )
    .filter(({ id }) => only === "" || id === only);
  const { team } = await newTeam();
  person = await newPerson({ team, role: "owner", operator: true });
  const made = await ask(person.bearer, "POST", "/v1/apps", { name: "target" });
  expect(made.status, made.text).toBe(201);
  known = {
    ...{ app: "target", rollout: mintId("roll"), token: mintId("tok"), member: person.user, team, role: "releaser" },
    ...{ hostname: "www.example.com", host: "ghcr.io", hash: `sha256:${"0".repeat(64)}`, sha256: "0".repeat(64) },
  };
  const caller = unwrap(await authenticate(new Request("https://api.berth.test/", { headers: { authorization: `Bearer ${person.bearer}` } }), env)); // prettier-ignore
  quick = knownCaller(caller);
});

const shown = ({ method, path, headers, body }: Input): string =>
  JSON.stringify({ method, path: path.slice(0, 300), headers, body: typeof body === "string" ? body.slice(0, 600) : String(body) }).slice(0, 1_500); // prettier-ignore

async function faultOf(send: () => Promise<Response>): Promise<string | null> {
  const beganAtMs = performance.now();
  const answer = await within(GIVEN_UP_MS, send());
  if (answer === null) return `slow: no answer within ${GIVEN_UP_MS} ms`;
  const { status } = answer;
  const type = answer.headers.get("content-type");
  const text = status >= 400 ? await answer.text() : "";
  if (status < 400) await answer.body?.cancel();
  const tookMs = performance.now() - beganAtMs;
  if (tookMs > HANG_MS) return `slow: ${tookMs.toFixed(0)} ms`;
  if (status < 400) return null;
  if (type !== "application/problem+json") return `${status} as ${type}: ${text.slice(0, 200)}`;
  const problem = Problem.safeParse(JSON.parse(text));
  if (!problem.success) return `no problem: ${text.slice(0, 300)}`;
  const { code, errors = [] } = problem.data;
  if (status >= 500 && code !== "dns_unavailable") return `${status} ${text.slice(0, 300)}`;
  if (PLACED.has(code) && errors.length === 0) return `${code} says no place: ${text.slice(0, 300)}`;
  return errors.every(({ pointer }) => /^(|\/.*|(query|path|header):.*)$/s.test(pointer))
    ? null
    : `odd pointer: ${text.slice(0, 300)}`;
}

type Send = (input: Input) => Promise<Response>;
const faultIn = (send: Send, input: Input): Promise<string | null> =>
  faultOf(() => send(input)).catch((error: unknown) => `threw ${String(error)}`);

async function faultsOf(operation: Operation, count: number, send: Send): Promise<string[]> {
  const faults: string[] = [];
  const slow: Input[] = [];
  const tell = (fault: string, input: Input): void =>
    void faults.push(`${operation.id} (seed ${seed}): ${fault}\n  ${shown(input)}`);
  const all = inputsOf(operation, components, known);
  for (let begun = 0; begun < count && faults.length < FAULTS_MAX; begun += AT_ONCE) {
    const inputs = fc.sample(all, { numRuns: Math.min(AT_ONCE, count - begun), seed: seed + begun / AT_ONCE });
    await forEachOf(inputs, async (input) => {
      if (faults.length >= FAULTS_MAX) return;
      const fault = await faultIn(send, input);
      if (fault?.startsWith("slow")) slow.push(input);
      else if (fault !== null) tell(fault, input);
    });
  }
  for (const input of slow.slice(0, FAULTS_MAX)) {
    let fault = await faultIn(send, input);
    for (let looks = 1; looks < LOOKS && fault !== null; looks += 1) fault = await faultIn(send, input);
    if (fault !== null) tell(fault, input);
  }
  return faults;
}

/** What ends things comes last, so that the others have something to find. */
const inOrder = (all: readonly Operation[]): Operation[] =>
  all.toSorted((a, b) => Number(a.method === "DELETE") - Number(b.method === "DELETE"));

describe("generated inputs", () => {
  it(
    "are answered by every endpoint with anything but a fault of ours",
    async () => {
      const faults: string[] = [];
      for (const operation of inOrder(operations)) {
        faults.push(...(await faultsOf(operation, runs, (input) => quick(requestOf(input, null), operation))));
      }
      expect(faults.join("\n")).toBe("");
    },
    runs * 6_000,
  );

  it(
    "are so through the whole Worker too, and with no bearer at all",
    async () => {
      const faults: string[] = [];
      for (const operation of inOrder(operations)) {
        const bearers = [person.bearer, null, "berth_%ff", "x".repeat(10_000)];
        let turn = 0;
        const send = (input: Input) =>
          wholeWorker(requestOf(input, bearers[turn++ % bearers.length] ?? null), operation);
        faults.push(...(await faultsOf(operation, WHOLE_RUNS, send)));
      }
      expect(faults.join("\n")).toBe("");
    },
    runs * 6_000,
  );
});
