// Control at any moment: abort in every step restores the weights of before, and first-day scenarios 5 and 6.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Rollout } from "../../../contracts/api.ts";
import { hasFailed, type Visitors } from "../../../dev/load/visitors.ts";
import { instancesOf } from "../nodes-support.ts";
import {
  appOf,
  by,
  commanded,
  control,
  createApp,
  ended,
  flawlessly,
  isOver,
  manyVisitors,
  release,
  servedBy,
  untilRollout,
  type PlanWish,
} from "../rollout-support.ts";
import { sharedWorld } from "../shared-world.ts";
import { eventually, type World } from "../support.ts";

const APP = "steered";
const REPLICAS = 3;

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  await createApp(world, APP, REPLICAS);
});

const current = async (): Promise<number> => (await appOf(world, APP)).currentRelease?.version ?? 0;
/** Of anything but this release nothing is left but what still drains. */
const onlyRuns = (version: number) =>
  eventually(
    () => instancesOf(world, APP),
    (all) => {
      const meant = all.filter(({ phase }) => phase !== "draining" && phase !== "stopping");
      return meant.length === REPLICAS && meant.every((one) => one.phase === "ready" && versionOf(one) === version);
    },
    { withinMs: 60_000 },
  );
const versionOf = (instance: object): number => (instance as { version: number }).version;

interface Step {
  readonly name: string;
  readonly plan: PlanWish;
  /** The step it is to be aborted in. */
  readonly reached: (now: Rollout) => boolean;
  /** What has to be said on the way there. */
  readonly promotes?: number;
}

const canary = { strategy: { kind: "canary", steps: [{ weight: 10 }, { weight: 50 }] }, analysis: null };
const green = { strategy: { kind: "blue_green", promote: "manual", watchMs: 60_000 }, analysis: null };
const inPhase = (phase: Rollout["phase"], index?: number) => (now: Rollout) =>
  now.phase === phase && (index === undefined || now.step?.index === index);

const STEPS: readonly Step[] = [
  { name: "before anything is ready", plan: { strategy: { kind: "rolling" } }, reached: () => true },
  {
    name: "between two batches of a rolling one",
    plan: { strategy: { kind: "rolling", maxSurge: 1, pauseMs: 60_000 } },
    reached: ({ ready, waitingFor }) => ready === 1 && /pause/.test(waitingFor ?? ""),
  },
  { name: "in a canary's first step", plan: canary, reached: inPhase("holding", 1) },
  { name: "in a canary's second step", plan: canary, reached: inPhase("holding", 2), promotes: 1 },
  { name: "with green waiting to be promoted", plan: green, reached: inPhase("holding", 1) },
  { name: "with green on trial after the switch", plan: green, reached: inPhase("holding", 2), promotes: 1 },
];

describe("abort", () => {
  /** They keep coming from the first abort until well after the last one. */
  let visitors: Visitors;
  const aborted: { readonly version: string; readonly atMs: number }[] = [];
  const failed = () => visitors.seen.filter(hasFailed).slice(0, 5);
  beforeAll(() => {
    visitors = manyVisitors(world, APP);
  });
  afterAll(() => visitors.stop());

  test.each(STEPS)(
    "$name: the weights of before at once, and no request fails",
    async ({ plan, reached, promotes = 0 }) => {
      const before = await current();
      const rollout = await release(world, APP, plan);
      for (let promoted = 1; promoted <= promotes; promoted += 1) {
        await untilRollout(world, APP, rollout, inPhase("holding", promoted));
        await commanded(world, APP, rollout, "promote");
      }
      await untilRollout(world, APP, rollout, reached);
      await sleep(500);
      aborted.push({ version: `v${rollout.toVersion}`, atMs: Date.now() });
      await commanded(world, APP, rollout, "abort");
      await ended(world, APP, rollout, "aborted");
      const { weights } = await appOf(world, APP);
      // By hand there is nothing left of it: its weight is gone in the same step as the phase.
      expect(weights.filter(({ weight }) => weight > 0)).toEqual([{ version: before, weight: 100, ready: REPLICAS }]);
      await servedBy(world, APP, before);
      await onlyRuns(before);
      expect(failed()).toEqual([]);
    },
  );

  test("once isolates have given up the route that they had, what was aborted answers nobody", async () => {
    const before = `v${await current()}`;
    await sleep(6_000);
    const seen = await visitors.stop();
    expect(failed()).toEqual([]);
    expect(aborted).toHaveLength(STEPS.length);
    for (const { version, atMs } of aborted) {
      expect(by(seen, version).filter((one) => one.startedAtMs > atMs + 5_500)).toEqual([]);
    }
    const meant = new Set([before, ...aborted.map(({ version }) => version)]);
    expect(seen.filter(({ version }) => !meant.has(version ?? ""))).toEqual([]);
    const lastAtMs = aborted.at(-1)?.atMs ?? Infinity;
    expect(new Set(seen.filter((one) => one.startedAtMs > lastAtMs + 5_500).map(({ version }) => version))).toEqual(
      new Set([before]),
    );
  });
});

test("cancel at every moment of a rollout: it ends, what served serves on, and the next one starts and completes", async () => {
  let completing = 0;
  await flawlessly(world, APP, async () => {
    for (const afterMs of [0, 50, 100, 200, 400, 800, 1_200, 1_600, 2_000, 3_000]) {
      const rollout = await release(world, APP, { strategy: { kind: "rolling" } });
      await sleep(afterMs);
      const { status } = await control(world, APP, rollout, "cancel");
      const now = await untilRollout(world, APP, rollout, isOver);
      // Where it was over already there was nothing left to cancel.
      expect([202, 409]).toContain(status);
      expect(now.phase).toBe(status === 202 ? "cancelled" : "completed");
    }
    const last = await release(world, APP, { strategy: { kind: "rolling" } });
    await ended(world, APP, last, "completed");
    completing = last.toVersion;
  });
  await servedBy(world, APP, completing);
});

test("pause holds a step beyond its time, resume lets it go on; If-Match refuses who has not seen the newest", async () => {
  await flawlessly(world, APP, async () => {
    const steps = [{ weight: 25, durationMs: 3_000 }];
    const rollout = await release(world, APP, { strategy: { kind: "canary", steps }, analysis: null });
    const held = await untilRollout(world, APP, rollout, inPhase("holding", 1));
    const stale = await control(world, APP, rollout, "pause", { "if-match": `"${held.revision - 1}"` });
    expect(stale).toMatchObject({ status: 412, body: { code: "precondition_failed" } });
    const paused = await control(world, APP, rollout, "pause", { "if-match": `"${held.revision}"` });
    expect(paused, JSON.stringify(paused.body)).toMatchObject({ status: 202 });
    await sleep(5_000);
    expect(await untilRollout(world, APP, rollout, () => true)).toMatchObject({ phase: "holding", step: { index: 1 } });
    await commanded(world, APP, rollout, "resume");
    await ended(world, APP, rollout, "completed");
    const late = await control(world, APP, rollout, "promote");
    expect(late).toMatchObject({ status: 409, body: { code: "rollout_not_active" } });
  });
});

test("a newer release supersedes a running rollout, and its weights start from what served before both", async () => {
  const before = await current();
  await flawlessly(world, APP, async () => {
    const first = await release(world, APP, canary);
    await untilRollout(world, APP, first, inPhase("holding", 1));
    const second = await release(world, APP, { strategy: { kind: "rolling" } });
    expect(second.fromVersion).toBe(before);
    await ended(world, APP, first, "superseded");
    await ended(world, APP, second, "completed");
    await servedBy(world, APP, second.toVersion);
  });
});

test("rollback brings image, environment and configuration of the release before back within 5 s", async () => {
  const before = await current();
  const set = await world.berth(["env", "set", "--app", APP, "GREETING=ahoy"]);
  expect(set, set.stderr).toMatchObject({ exitCode: 0 });
  await eventually(
    async () => JSON.parse((await world.visit(APP)).body).greeting,
    (said) => said === "ahoy",
  );
  let calledAtMs = 0;
  const seen = await flawlessly(world, APP, async () => {
    await sleep(1_000);
    calledAtMs = Date.now();
    const ran = await world.berth(["rollback", APP]);
    expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
    await sleep(1_000);
  });
  expect(JSON.parse((await world.visit(APP)).body)).toMatchObject({ greeting: null, version: `v${before}` });
  const newer = by(seen, `v${before + 1}`);
  expect(newer.length).toBeGreaterThan(0);
  expect(Math.max(...newer.map((one) => one.endedAtMs)) - calledAtMs).toBeLessThan(5_000);
});
