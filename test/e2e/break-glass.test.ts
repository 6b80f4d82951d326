// The drill: workerd, Postgres and an agent are gone, DNS points at the racks, and visitors are served on; what crashes meanwhile is
// started again; then everything catches up. (An hour of it in virtual time: test/sim/away.test.ts.)
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasFailed, type Seen, startVisitors } from "../../dev/load/visitors.ts";
import { choosePort } from "../../dev/ports.ts";
import { bundleAgent } from "../../node-agent/build/bundle-agent.ts";
import { REGION_FILE } from "../../node-agent/snapshot-file.ts";
import { type Authority, makeAuthority } from "../node-agent/pki.ts";
import { caughtUp } from "./after-away.ts";
import { deployed, environmentOf, instancesOf, nodesAre } from "./nodes-support.ts";
import { createWorld, eventually, SMALL, versionServer, type World } from "./support.ts";

const APP = "shop";
let world: World;
let authority: Authority;
let ingress: ChildProcess;
let [tlsPort, plainPort] = [0, 0];

const dirOf = (at: number): string => world.stack.agents[at]?.dir ?? "";
const snapshot = (
  at: number,
): {
  version: number;
  routes: { hostnames: string[]; route: { state: { releases?: { endpoints: unknown[] }[] } } }[];
} => JSON.parse(readFileSync(join(dirOf(at), REGION_FILE), "utf8"));
const endpointsKept = (at: number): number =>
  snapshot(at)
    .routes.filter(({ hostnames }) => hostnames.includes(`${APP}.localhost`))
    .flatMap(({ route }) => route.state.releases ?? [])
    .flatMap(({ endpoints }) => endpoints).length;

function overTls(): Promise<{ status: number; text: unknown }> {
  const servername = `${APP}.localhost`;
  return new Promise((resolve, reject) => {
    const at = { host: "127.0.0.1", port: tlsPort, servername, ca: authority.ca, agent: false as const };
    const sent = request({ ...at, headers: { host: servername } }, (answer) => {
      const { "x-app-text": text } = answer.headers;
      answer.resume().on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    sent.on("error", reject).end();
  });
}

/** Its process on this machine, also in a container; null where it has none. */
function pidOf(instance: string): number | null {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).find((pid) => environmentOf(pid).includes(`BERTH_INSTANCE=${instance}\0`)) ?? null;
}

/** Kills an instance of the node whose agent is left; it is started again, and visitors see it. From when to when it was ending. */
async function crash(seen: readonly Seen[], instance: string): Promise<{ fromMs: number; toMs: number }> {
  const before = pidOf(instance)!;
  const fromMs = Date.now();
  process.kill(before, "SIGKILL");
  // Until then the kernel may still take connections in its name.
  await eventually(
    async () => pidOf(instance),
    (pid) => pid !== before,
    { everyMs: 5 },
  );
  const toMs = Date.now();
  await eventually(
    async () => pidOf(instance),
    (pid) => pid !== null,
  );
  const from = seen.length;
  await eventually(
    async () => seen.slice(from),
    (since) => since.some((one) => one.instance === instance && !hasFailed(one)),
  );
  return { fromMs, toMs };
}

beforeAll(async () => {
  world = await createWorld({ agents: 2, tuning: { snapshotMakeMs: 200 }, agentTuning: { snapshotMs: 300 } });
  await nodesAre(world, "ready");
  await deployed(world, APP, "replicas = 2\n", versionServer("one"), SMALL);
  await eventually(
    async () => [0, 1].map((at) => endpointsKept(at)),
    (kept) => kept.join() === "2,2",
  );
  authority = await makeAuthority();
  mkdirSync(join(dirOf(0), "ingress"), { recursive: true });
  const { cert, key } = await authority.issue({ names: [`${APP}.localhost`] });
  writeFileSync(join(dirOf(0), "ingress/platform.pem"), `${cert}\n${key}`);
  [tlsPort, plainPort] = [await choosePort([]), await choosePort([])];
  const bundle = join(world.home, "agent.mjs");
  await bundleAgent(bundle);
  const ports = ["--ingress", `${tlsPort},${plainPort}`, "--ingress-host", "127.0.0.1"];
  ingress = spawn(process.execPath, [bundle, "ingress", "--dir", dirOf(0), ...ports], { stdio: "ignore" });
  await eventually(
    () => overTls().catch(() => ({ status: 0, text: null })),
    ({ status }) => status === 200,
  );
});
afterAll(async () => {
  ingress?.kill("SIGTERM");
  await world?.end();
});

test("visitors of the ingress are served while workerd, Postgres and an agent are gone, and everything catches up", async () => {
  const { stack } = world;
  const left = (await instancesOf(world, APP)).find(({ nodeName }) => nodeName === "node-1")!.id;
  const visitors = startVisitors({ port: plainPort, hostname: `${APP}.localhost`, ratePerS: 50, everyPost: 3 });
  for (const role of ["edge", "control", "postgres", "agent:node-2"]) await stack.kill(role, "SIGKILL", { hold: true });
  await expect(world.visit(APP)).rejects.toThrow();
  const before = visitors.seen.length;
  expect((await overTls()).text).toBe("one");
  await eventually(
    async () => visitors.seen.length - before,
    (more) => more > 150,
  );
  const ending = await crash(visitors.seen, left);
  for (const role of ["postgres", "control", "edge", "agent:node-2"]) await stack.start(role);
  const seen = await visitors.stop();
  // What was on its way to an instance that is killed may fail, and nothing else.
  const wasUnderWay = (one: Seen): boolean => one.startedAtMs <= ending.toMs && one.endedAtMs >= ending.fromMs;
  expect(seen.filter((one) => hasFailed(one) && !wasUnderWay(one))).toEqual([]);
  const instances = new Set(seen.filter((one) => !hasFailed(one)).map(({ instance }) => instance));
  expect(instances.size).toBe(2);
  await nodesAre(world, "ready");
  await eventually(
    async () => (await instancesOf(world, APP)).filter(({ phase }) => phase === "ready"),
    (ready) => ready.length === 2 && ready.some(({ id, restarts }) => id === left && restarts === 1),
  );
  await caughtUp(world);
  await deployed(world, APP, "replicas = 2\n", versionServer("two"), SMALL);
  await eventually(
    () => overTls(),
    ({ text }) => text === "two",
  );
});
