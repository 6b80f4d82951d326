// Singletons on the real stack (invariant 4): released, moved, cut off and orphaned, there are never two of one at once. The
// instances themselves write down when they ran.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasFailed } from "../../dev/load/visitors.ts";
import { command, deployed, nodeIs, nodesAre, onlyOn, readyOf, storyOf, visitorsOf } from "./nodes-support.ts";
import { expectNeverTwo, presentServer, runsIn } from "./presence.ts";
import { createWorld, eventually, type World } from "./support.ts";

/** The fence: the stop by the node in a third of its time, and as in production 5 s between it and the replacement by the control plane. */
const STOP_MS = 7_000;
const REPLACE_MS = 13_000;
const BEAT_MS = 1_000;
const AGENT_TUNING = { heartbeatMs: BEAT_MS, strictStopMs: STOP_MS, strictHungMs: 500, strictGraceMs: 800 };
/** From its end by the agent or the watchdog to its last word, on a busy machine. */
const SLACK_MS = 2_500;
const CUT_MS = 90_000;

const [KEPT, STRICT] = ["kept", "strict"] as const;
const APPS = [KEPT, STRICT];
const tomlOf = (app: string) => `[placement]\nsingleton = "${app === KEPT ? "available" : "strict"}"\n`;

let world: World;
beforeAll(async () => {
  world = await createWorld({
    ...{ ownNetworks: true, runtime: "process", agentTuning: AGENT_TUNING },
    tuning: { strictReplaceMs: REPLACE_MS },
  });
  await nodesAre(world, "ready");
});
afterAll(async () => await world?.end());

const fileOf = (app: string) => join(world.home, `${app}.presence`);
const runsOf = (app: string) => runsIn(fileOf(app));
const deploy = (app: string) => deployed(world, app, tomlOf(app), presentServer(fileOf(app)));
const one = async (app: string) => {
  const [ready] = await eventually(
    () => readyOf(world, app),
    (now) => now.length === 1,
  );
  return { id: ready?.id ?? "", node: ready?.nodeName ?? "", generation: ready?.generation ?? 0 };
};
const answering = (app: string, instance: string) =>
  eventually(
    () => world.visit(app),
    ({ status, body }) => status === 200 && JSON.parse(body).instance === instance,
  );
test("a release of a singleton stops the old one before the new one starts, and says that it waits for that", async () => {
  await onlyOn(world, "node-1", async () => {
    for (const app of APPS) {
      await deploy(app);
      const first = await one(app);
      await deploy(app);
      const second = await one(app);
      expect(second).toMatchObject({ node: "node-1", generation: first.generation + 1 });
      await answering(app, second.id);
      const runs = runsOf(app);
      expect(runs.map(({ instance, version }) => [instance, version])).toEqual([
        [first.id, 1],
        [second.id, 2],
      ]);
      expectNeverTwo(runs);
      const story = await storyOf(world, ["events", app], /v2 completed/);
      expect(story).toMatch(/v1 #0 on node-1 stopped[^]*v2 #0 on node-1 placed[^]*v2 #0 on node-1 ready/);
    }
  });
});

test("more than one replica of a singleton is refused, and nothing is started", async () => {
  const ran = await world.berth(["scale", "2", STRICT]);
  expect(ran.exitCode).toBe(1);
  expect(ran.stderr).toMatch(/singleton/);
  expect(await readyOf(world, STRICT)).toHaveLength(1);
});

test("a drain without room elsewhere stops no singleton; with room it moves them, stop-first", async () => {
  const before = new Map(await Promise.all(APPS.map(async (app) => [app, await one(app)] as const)));
  await Promise.all(["node-2", "node-3"].map((name) => command(world, "nodes", "cordon", name)));
  const held = await world.berth(["nodes", "drain", "node-1", "--timeout", "15s"]);
  expect(held, held.stderr).toMatchObject({ exitCode: 6 });
  for (const app of APPS) {
    expect(held.stderr).toMatch(new RegExp(`${app} v2 \\(ins_\\w+\\): .*excluded by`));
    expect(await one(app)).toEqual(before.get(app));
  }
  await command(world, "nodes", "uncordon", "node-2");
  await command(world, "nodes", "drain", "node-1");
  for (const app of APPS) {
    const moved = await one(app);
    expect(moved).toMatchObject({ node: "node-2", generation: (before.get(app)?.generation ?? 0) + 1 });
    await answering(app, moved.id);
    expect(runsOf(app).at(-1)?.instance).toBe(moved.id);
    expect(runsOf(app)).toHaveLength(3);
    expectNeverTwo(runsOf(app));
  }
  await Promise.all(["node-1", "node-3"].map((name) => command(world, "nodes", "uncordon", name)));
});

test("its node cut off: strict is stopped by its node and replaced after the fence, available is never doubled", async () => {
  const strict = await one(STRICT);
  const kept = await one(KEPT);
  expect([strict.node, kept.node]).toEqual(["node-2", "node-2"]);
  const wires = world.stack.nodeSwitch("node-2");
  await wires.drop(["power"], CUT_MS);
  const { lastHeartbeatAtMs } = await nodeIs(world, "node-2", "lost");
  const successor = await eventually(
    () => one(STRICT),
    ({ id }) => id !== strict.id,
  );
  expect(successor.node).not.toBe("node-2");
  expect(successor.generation).toBe(strict.generation + 1);
  const [old, next] = runsOf(STRICT).slice(-2);
  expect([old?.instance, next?.instance]).toEqual([strict.id, successor.id]);
  expectNeverTwo(runsOf(STRICT));
  expect(old!.lastMs - lastHeartbeatAtMs).toBeLessThan(STOP_MS + SLACK_MS);
  expect(next!.firstMs - lastHeartbeatAtMs).toBeGreaterThanOrEqual(REPLACE_MS);
  await answering(STRICT, successor.id);

  // Silence stops nothing that is not strict, and starts no second one: it runs on, unreached.
  await sleep(1_000);
  expect(runsOf(KEPT).at(-1)).toMatchObject({ instance: kept.id });
  const stillAtMs = Date.now();
  await eventually(
    async () => runsOf(KEPT).at(-1)!.lastMs,
    (lastMs) => lastMs > stillAtMs,
  );
  await eventually(
    () => world.visit(KEPT),
    ({ status }) => status === 503,
  );
  await wires.heal();
  await nodeIs(world, "node-2", "ready");
  await answering(KEPT, kept.id);
  expect(await one(KEPT)).toEqual(kept);
  expect(await one(STRICT)).toEqual(successor);
  expect(runsOf(STRICT).at(-2)).toEqual(old);
  expect(await storyOf(world, ["nodes", "events", "node-2"], /is back/)).toMatch(/singleton fenced/);
});

test("its agent dead: the watchdog stops strict, its successor comes after the fence, and available serves on", async () => {
  await onlyOn(world, "node-3", async () => {
    for (const app of APPS) await command(world, "restart", app);
  });
  const strict = await one(STRICT);
  const kept = await one(KEPT);
  expect([strict.node, kept.node]).toEqual(["node-3", "node-3"]);
  const visitors = visitorsOf(world, KEPT, 20);
  const deadAtMs = Date.now();
  await world.stack.kill("agent:node-3", "SIGKILL", { hold: true });
  const successor = await eventually(
    () => one(STRICT),
    ({ id }) => id !== strict.id,
  );
  const { lastHeartbeatAtMs } = await nodeIs(world, "node-3", "unreachable");
  const [old, next] = runsOf(STRICT).slice(-2);
  expect([old?.instance, next?.instance]).toEqual([strict.id, successor.id]);
  expect(successor.node).not.toBe("node-3");
  expect(old!.lastMs - lastHeartbeatAtMs).toBeLessThan(STOP_MS + SLACK_MS);
  expect(next!.firstMs - lastHeartbeatAtMs).toBeGreaterThanOrEqual(REPLACE_MS);
  await world.stack.start("agent:node-3");
  await nodeIs(world, "node-3", "ready");
  const seen = await visitors.stop();
  expect(seen.filter(hasFailed).map((visit) => ({ ...visit, afterMs: visit.startedAtMs - deadAtMs }))).toEqual([]);
  expect(new Set(seen.map(({ instance }) => instance))).toEqual(new Set([kept.id]));
  expect(await one(KEPT)).toEqual(kept);
  for (const app of APPS) expectNeverTwo(runsOf(app));
  const story = await storyOf(world, ["nodes", "events", "node-3"], /singleton fenced/);
  expect(story).toMatch(/singleton fenced \(ins_\w+\): the watchdog stopped it .*the agent is dead/);
});
