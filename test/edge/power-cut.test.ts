// A node whose packets are dropped, not refused: how long the edge goes on failing, and that the node comes back into use.
import { spawn, type ChildProcess } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startEdge, type EdgeWorld } from "../../bench/shared/edge-world.ts";
import { nodeId, signingKey, startGateway, type GatewayProcess } from "../../bench/shared/gateway-world.ts";
import { Networks, NAMESPACES_DIR, type NodeNetwork } from "../../dev/network/namespaces.ts";
import { drop, heal } from "../../dev/network/wires.ts";
import { httpApp, sleep, type App } from "../node-agent/gateway/upstreams.ts";
import { TestApp } from "./world.ts";

const CUTS = Number(process.env.BERTH_TEST_CUTS ?? 3);
const EVERY_MS = 10;
/** What took longer than this hung on the dead node. */
const SLOW_MS = 700;
const PORTS = { control: 1, gateway: 2 };

let networks: Networks;
let edge: EdgeWorld;
let gateways: GatewayProcess[];
let inside: { child: ChildProcess; port: number };
let outside: App;
let app: TestApp;
const network = (): NodeNetwork => networks.nodes[0] as NodeNetwork;

/** An app on the node itself: it answers with its name. */
function appIn({ namespace }: NodeNetwork): Promise<{ child: ChildProcess; port: number }> {
  const script = `const server = require("node:http").createServer((asked, answer) =>
    asked.resume().on("end", () => answer.end("a")));
    server.listen(0, "127.0.0.1", () => console.log(server.address().port));
    process.stdin.resume().once("end", () => process.exit(0));`;
  const child = spawn("nsenter", [`--net=${NAMESPACES_DIR}/${namespace}`, process.execPath, "-e", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.stdout.setEncoding("utf8").once("data", (text: string) => resolve({ child, port: Number(text) }));
  });
}

beforeAll(async () => {
  networks = await Networks.create(`edge-power-cut-${process.pid}`, 1);
  const key = await signingKey();
  gateways = [
    await startGateway({ node: nodeId(1), key, network: network() }),
    await startGateway({ node: nodeId(2), key }),
  ];
  edge = await startEdge(key);
  inside = await appIn(network());
  outside = await httpApp((asked, answer) => void asked.resume().on("end", () => answer.end("b")));
  app = new TestApp({ edge, key, gateways, stop: () => Promise.resolve() }, 1);
  await gateways[0]?.write({ instances: [app.row(1, { ...outside, port: inside.port })] });
  await gateways[1]?.write({ instances: [app.row(2, outside)] });
  await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 1), app.endpoint(2, 2)])]));
});
afterAll(async () => {
  await edge.stop();
  inside.child.kill("SIGKILL");
  for (const gateway of gateways) await gateway.stop();
  await outside.close();
  await networks.remove();
});

interface Sent {
  readonly method: string;
  readonly sentAtMs: number;
  readonly endedAtMs: number;
  readonly status: number;
  readonly body: string;
}

/** Requests at a steady pace, whatever becomes of them; two of three are POSTs, which must not be repeated. */
async function load(forMs: number): Promise<Sent[]> {
  const pending: Promise<Sent>[] = [];
  for (const untilMs = Date.now() + forMs; Date.now() < untilMs; await sleep(EVERY_MS)) {
    const sentAtMs = Date.now();
    const wish = pending.length % 3 > 0 ? { method: "POST", body: "x" } : { method: "GET" };
    const answer = app.send(wish).catch(() => ({ status: 0, body: "" }));
    pending.push(
      answer.then(({ status, body }) => ({ method: wish.method, sentAtMs, endedAtMs: Date.now(), status, body })),
    );
  }
  return Promise.all(pending);
}

async function untilUsedAgain(): Promise<void> {
  const byMs = Date.now() + 40_000;
  for (let seen = ""; seen !== "a"; seen = (await app.send()).body) {
    if (Date.now() > byMs) throw new Error("the node is not used again");
    await sleep(50);
  }
}

test(
  "the edge stops failing within 2 s, no GET fails at all, and the node is used again once it is back",
  async () => {
    const stoppedMs: number[] = [];
    let hurtCount = 0;
    for (let cut = 0; cut < CUTS; cut++) {
      await untilUsedAgain();
      const loading = load(4_000);
      await sleep(500);
      const darkAtMs = Date.now();
      await drop(network(), PORTS, ["power"], 20_000);
      const sent = await loading;
      await heal(network());
      const failed = sent.filter(({ status }) => status !== 200);
      expect(failed.filter(({ method }) => method === "GET")).toEqual([]);
      expect(sent.some(({ body, sentAtMs }) => body === "a" && sentAtMs < darkAtMs)).toBe(true);
      const codes = failed.map(({ body }) => (JSON.parse(body) as { code: string }).code);
      expect(codes.filter((code) => code !== "node_timeout")).toEqual([]);
      // A GET that hung was answered elsewhere: it counts as long as it hung.
      const hurt = sent.filter(({ status, sentAtMs, endedAtMs }) => status !== 200 || endedAtMs - sentAtMs > SLOW_MS);
      stoppedMs.push(Math.max(0, ...hurt.map(({ endedAtMs }) => endedAtMs - darkAtMs)));
      hurtCount += hurt.length;
    }
    console.log(`the edge stopped failing ${stoppedMs.join(", ")} ms after the cuts`);
    expect(hurtCount, "no request met the dead node").toBeGreaterThan(0);
    expect(Math.max(...stoppedMs), `ms after each cut: ${stoppedMs.join(", ")}`).toBeLessThanOrEqual(2_000);
    const reported = await edge.reports(app.app);
    expect(new Set(reported.map(({ instance, kind }) => `${instance} ${kind}`))).toEqual(
      new Set([`${app.endpoint(1, 1).instance} connect`]),
    );
    // One for each time it was ejected, not one for each request.
    expect(reported.length).toBeGreaterThanOrEqual(CUTS);
    expect(reported.length).toBeLessThanOrEqual(CUTS * 4);
  },
  CUTS * 45_000,
);
