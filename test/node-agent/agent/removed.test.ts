// A node that was removed: it stops what it runs once that is certain, and by no word that its own control plane did not sign.
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { afterEach, expect, test } from "vitest";
import { agentLimitsFrom } from "../../../core/converge/limits.ts";
import { readStat } from "../../../node-agent/agent/state/process-id.ts";
import { Dismissal } from "../../../node-agent/agent/supervise/dismissal.ts";
import { join } from "node:path";
import { desired, makeBundle, makeWorld, SERVER_JS, until, untilStatus, type World } from "./world.ts";

const SINGLETON_MS = 4_000;
const ALL_MS = 9_000;
const TUNING = {
  ...{ heartbeatMs: 200, heartbeatJitterMs: 0, removedBeatMs: 300 },
  ...{ removedSingletonStopMs: SINGLETON_MS, removedStopMs: ALL_MS },
};

let world: World | null = null;
afterEach(async () => {
  expect(world?.peer.faults ?? []).toEqual([]);
  await world?.close();
  world = null;
});

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const logged = () => readFileSync(world!.logFile, "utf8");
const pidOf = (instance: string): number =>
  JSON.parse(readFileSync(join(world!.dir, "instances", instance, "run.json"), "utf8")).process.pid;
const lives = async (pid: number) => (await readStat(pid)) !== null;

/** A singleton and one that is none, both ready. */
async function begin() {
  world = await makeWorld("process", TUNING);
  const { peer } = world;
  const bundle = await makeBundle({ "index.js": SERVER_JS });
  peer.bundles.set(bundle.hash, bundle.bytes);
  const source = { kind: "bundle", hash: bundle.hash };
  const [single, other] = [desired({ source, singleton: "available" }), desired({ source })];
  peer.publish([single, other]);
  for (const { instance } of [single, other]) await untilStatus(world, instance, "ready");
  return { peer, pids: { single: pidOf(single.instance), other: pidOf(other.instance) }, source };
}

test("its singletons end soon, the rest after the time to take it back, for good, and its log says so", async () => {
  const { peer, pids } = await begin();
  const sinceMs = performance.now();
  peer.removed = "by our key";
  await until("the singleton's end", async () => !(await lives(pids.single)));
  expect(performance.now() - sinceMs).toBeGreaterThan(SINGLETON_MS - 100);
  expect(await lives(pids.other)).toBe(true);
  await until("the other's end", async () => !(await lives(pids.other)));
  expect(performance.now() - sinceMs).toBeGreaterThan(ALL_MS - 100);
  expect(logged()).toContain("says that this node was removed: nothing is started here any more; singletons in 4 s");
  expect(logged()).toContain("its singletons are stopped now");
  expect(logged()).toContain("all that runs here is stopped now");
  await until("the last word", () => logged().includes("nothing runs here any more"));
  // Neither does the next agent start anything of the document on its disk.
  await world!.killAgent("SIGKILL");
  await world!.startAgent();
  const words = () => logged().split("nothing is started here any more").length - 1;
  await until("the next agent has heard it", () => words() === 2);
  await wait(2_500);
  expect(logged().match(/"start ins_/g)).toHaveLength(2);
});

test("a removal that is taken back stops nothing", async () => {
  const { peer, pids } = await begin();
  peer.removed = "by our key";
  await until("it is heard", () => logged().includes("nothing is started here any more"));
  peer.removed = "no";
  await until("it is heard", () => logged().includes("takes it back"));
  await wait(ALL_MS + 500);
  expect([await lives(pids.single), await lives(pids.other)]).toEqual([true, true]);
});

test("a word by another key, any other refusal and silence stop nothing", async () => {
  const { peer, pids } = await begin();
  peer.removed = "by another key";
  await until("it is not believed", () => logged().includes("cannot be verified, so nothing is stopped"));
  await wait(ALL_MS + 500);
  peer.removed = "no";
  for (const status of [401, 403, 410]) {
    peer.down = status;
    await wait(SINGLETON_MS + 500);
  }
  expect([await lives(pids.single), await lives(pids.other)]).toEqual([true, true]);
  expect(logged()).not.toContain("was removed: its singletons");
});

test("a removed node that was away starts nothing of what it finds", async () => {
  const { peer, pids } = await begin();
  await world!.killAgent("SIGKILL");
  for (const pid of [pids.single, pids.other]) process.kill(pid, "SIGKILL");
  peer.removed = "by our key";
  await world!.startAgent();
  await until("it is over", () => logged().includes("nothing runs here any more"));
  expect(logged()).not.toContain('"restart ins_');
});

test("each stage takes a word of its own, and time while nobody answers is no word", async () => {
  let nowMs = 0;
  let word: boolean | Error = true;
  let asked = 0;
  const limits = agentLimitsFrom({});
  const clocks = { monotonicMs: () => nowMs, uptimeMs: () => nowMs };
  const dismissal = new Dismissal({
    ...{ limits, clocks, log: pino({ enabled: false }), changed: () => undefined, isEmpty: () => false },
    async ask() {
      asked += 1;
      if (word instanceof Error) throw word;
      return word;
    },
  });
  const document = { node: "n", revision: 3, routes: {}, watch: [] } as never as Parameters<typeof dismissal.keeps>[0];
  const both = { ...document, instances: [desired(), desired({ singleton: "available" })] };
  const kept = () => dismissal.keeps(both).instances.length;
  const hear = async () => {
    dismissal.refused();
    await wait(0);
    return [dismissal.mayStart, kept(), asked];
  };
  expect(await hear()).toEqual([false, 2, 1]);
  expect(await hear()).toEqual([false, 2, 1]);
  nowMs = limits.removedSingletonStopMs;
  expect(await hear()).toEqual([false, 1, 2]);
  nowMs = limits.removedStopMs;
  word = new Error("nobody answers");
  expect(await hear()).toEqual([false, 1, 3]);
  word = false;
  expect(await hear()).toEqual([true, 2, 4]);
  word = true;
  expect(await hear()).toEqual([false, 2, 5]);
  nowMs += limits.removedStopMs;
  expect(await hear()).toEqual([false, 0, 6]);
  expect(dismissal.isOver).toBe(true);
});
