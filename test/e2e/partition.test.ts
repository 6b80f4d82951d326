// Agents cut off from the control plane: one in each direction alone, one in both, for a minute (BERTH_PARTITION_MS for longer; an hour
// of virtual time: test/sim/away.test.ts), then healed. Their containers run on, nothing is doubled, what was replaced meanwhile stops
// before it gets traffic, and nothing that was metered or happened is lost.
import { afterAll, beforeAll, expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { hasFailed, type Visitors } from "../../dev/load/visitors.ts";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import type { Wire } from "../../dev/network/wires.ts";
import { caughtUp } from "./after-away.ts";
import {
  deployed,
  instancesOf,
  nodesAre,
  nodesOf,
  runningOn,
  servingOf,
  storyOf,
  visitorsOf,
} from "./nodes-support.ts";
import { createWorld, eventually, serving, versionServer, type World } from "./support.ts";

const PARTITION_MS = Number(process.env.BERTH_PARTITION_MS ?? 60_000);
const TEST_TIMEOUT_MS = PARTITION_MS + 180_000;
/** A row of metering with every sample instead of every five minutes: a minute leaves half an hour's on a node. */
const METERING_MS = 2_500;
const SAMPLE_MS = AGENT_LIMITS.sampleMs;
/** As first-day says: `desired equals actual within 60 s` once faults end. */
const CONVERGED_WITHIN_MS = 60_000;

const CUTS: readonly (readonly [node: string, wires: readonly Wire[]])[] = [
  ["node-1", ["control_to_agent"]],
  ["node-2", ["agent_to_control"]],
  ["node-3", ["control_to_agent", "agent_to_control"]],
];

let world: World;
/** Left alone throughout; redeployed in mid-partition. */
const [STEADY, MOVED] = ["steady", "moved"] as const;
beforeAll(async () => {
  world = await createWorld({
    ...{ agents: 4, ownNetworks: true, runtime: "process", agentTuning: { meteringMs: METERING_MS } },
  });
  await nodesAre(world, "ready");
  await deployed(world, STEADY, "replicas = 4\n");
  await nodesAre(world, "ready");
  await deployed(world, MOVED, "replicas = 4\n", versionServer("before"));
});
afterAll(async () => await world?.end());

const names = ["node-1", "node-2", "node-3", "node-4"];
const running = async (): Promise<Map<string, string[]>> =>
  new Map(await Promise.all(names.map(async (name) => [name, await runningOn(world, name)] as const)));
const idsOf = async (app: string): Promise<string[]> => (await instancesOf(world, app)).map(({ id }) => id).toSorted();

let visitors: Visitors;
let before: Map<string, string[]>;
let steady: string[];
let replaced: string[];

test(
  "cut off for a while, agents keep everything running and the edge keeps reaching it",
  { timeout: TEST_TIMEOUT_MS },
  async () => {
    before = await running();
    steady = await idsOf(STEADY);
    replaced = await idsOf(MOVED);
    expect([...before.values()].map((on) => on.length)).toEqual([2, 2, 2, 2]);
    visitors = visitorsOf(world, STEADY, 50);
    await Promise.all(CUTS.map(([node, wires]) => world.stack.nodeSwitch(node).drop(wires, PARTITION_MS + 60_000)));
    const untilMs = performance.now() + PARTITION_MS;
    await eventually(
      () => nodesOf(world),
      (nodes) => nodes.filter(({ phase }) => phase === "unreachable").length === 3,
      { withinMs: PARTITION_MS },
    );
    // New instances go where somebody answers; what they replace runs on, unreached, where nobody does.
    await deployed(world, MOVED, "replicas = 4\n", versionServer("after"));
    expect(
      new Set(
        (await instancesOf(world, MOVED)).filter(({ phase }) => phase === "ready").map(({ nodeName }) => nodeName),
      ),
    ).toEqual(new Set(["node-4"]));
    await serving(world, MOVED, "after");
    await sleep(Math.max(0, untilMs - performance.now()));
    const now = await running();
    for (const [node] of CUTS) expect(now.get(node), node).toEqual(before.get(node));
    expect(await idsOf(STEADY)).toEqual(steady);
  },
);

test(
  "healed, what was replaced stops before it gets traffic, and each slot runs once",
  { timeout: TEST_TIMEOUT_MS },
  async () => {
    const ofMoved = visitorsOf(world, MOVED, 50);
    await sleep(500);
    await Promise.all(CUTS.map(([node]) => world.stack.nodeSwitch(node).heal()));
    await nodesAre(world, "ready", { withinMs: CONVERGED_WITHIN_MS });
    await eventually(
      async () => [...(await running()).values()].flat(),
      (now) => now.length === 8 && replaced.every((instance) => !now.includes(instance)),
      { withinMs: CONVERGED_WITHIN_MS },
    );
    await sleep(1_000);
    const seen = await ofMoved.stop();
    expect(seen.filter(hasFailed)).toEqual([]);
    expect(seen.filter(({ instance }) => replaced.includes(instance ?? ""))).toEqual([]);
    expect((await visitors.stop()).filter(hasFailed)).toEqual([]);
    // The same processes as before the cut, never started again.
    const instances = await servingOf(world, STEADY);
    expect(instances.map(({ id, restarts }) => ({ id, restarts })).toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual(
      steady.map((id) => ({ id, restarts: 0 })),
    );
    expect(await idsOf(STEADY)).toEqual(steady);
    for (const app of [STEADY, MOVED]) {
      const ready = await servingOf(world, app);
      expect(ready.map(({ ordinal }) => ordinal).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    }
    await caughtUp(world, { rowsOfEach: Math.floor(PARTITION_MS / SAMPLE_MS) });
    for (const [node] of CUTS) {
      expect(await storyOf(world, ["nodes", "events", node], /unreachable[^]*its agent answers/)).not.toContain(
        "lost;",
      );
    }
  },
);
