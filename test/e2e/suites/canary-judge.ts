// First-day scenario 7: a canary at 10 % that answers 5 % errors goes back to nothing by itself, and the rollout says why in numbers.
// With no traffic at all the documented rule applies.
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { hasFailed } from "../../../dev/load/visitors.ts";
import {
  by,
  commanded,
  createApp,
  ended,
  flawlessly,
  manyVisitors,
  readRollout,
  release,
  servedBy,
  untilRollout,
} from "../rollout-support.ts";
import { sharedWorld } from "../shared-world.ts";
import { type World } from "../support.ts";

const APP = "judged";
const STEPS = [{ weight: 10, durationMs: 120_000 }];

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  await createApp(world, APP, 2);
});

test("a canary at 10 % with 5 % errors: weight 0 by itself, the reason and the numbers in the rollout", async () => {
  const visitors = manyVisitors(world, APP, 200);
  const rollout = await release(world, APP, { strategy: { kind: "canary", steps: STEPS } }, { flags: ["--errors=5"] });
  const failed = await ended(world, APP, rollout, "failed");
  const endedAtMs = Date.now();
  await sleep(6_000);
  const seen = await visitors.stop();
  const failure = failed.failure;
  if (failure?.kind !== "analysis") throw new Error(JSON.stringify(failure));
  expect(failure.message).toMatch(/of the new release's requests failed/);
  expect(failure.verdict).toMatchObject({ kind: "fail", check: "errors" });
  const { next, current } = failure.verdict.numbers;
  expect(next.errors / next.requests).toBeGreaterThan(0.02);
  expect(next.requests).toBeGreaterThanOrEqual(50);
  expect(current).toMatchObject({ errors: 0 });
  expect(current.requests).toBeGreaterThan(next.requests);
  // What was counted is what happened: nobody saw more requests of the canary than there were.
  expect(next.requests).toBeLessThanOrEqual(by(seen, "v2").length);
  expect(by(seen, "v2").filter((one) => one.startedAtMs > endedAtMs + 5_500)).toEqual([]);
  // Only its own visitors were hit.
  expect(seen.filter(hasFailed).every(({ version }) => version === "v2")).toBe(true);
  await servedBy(world, APP, 1);
});

test("an equal release under traffic passes its step, with the numbers", async () => {
  await flawlessly(world, APP, async () => {
    const steps = [{ weight: 20, durationMs: 8_000 }];
    const rollout = await release(world, APP, { strategy: { kind: "canary", steps } });
    await untilRollout(world, APP, rollout, ({ phase, analysis }) => phase === "holding" && analysis !== null);
    const done = await ended(world, APP, rollout, "completed");
    expect(done.analysis).toMatchObject({ kind: "pass" });
    expect(done.analysis?.numbers.next.requests).toBeGreaterThanOrEqual(50);
  });
  await servedBy(world, APP, 3);
});

test("with no traffic at all the step is held, never passed, until an operator decides", async () => {
  const steps = [{ weight: 10, durationMs: 1_000 }];
  const rollout = await release(world, APP, { strategy: { kind: "canary", steps } });
  await untilRollout(world, APP, rollout, ({ phase }) => phase === "holding");
  await sleep(6_000);
  const held = await readRollout(world, APP, rollout.id);
  expect(held).toMatchObject({ phase: "holding", analysis: { kind: "no_traffic", rule: "hold" } });
  expect(held.waitingFor).toMatch(/request/i);
  await commanded(world, APP, rollout, "promote");
  await ended(world, APP, rollout, "completed");
  await servedBy(world, APP, 4);
});

test("where the plan says so, a step without traffic passes, and the rollout says that it did", async () => {
  const steps = [{ weight: 10, durationMs: 1_000 }];
  const rollout = await release(world, APP, { strategy: { kind: "canary", steps }, analysis: { noTraffic: "pass" } });
  const done = await ended(world, APP, rollout, "completed");
  expect(done.analysis).toMatchObject({ kind: "no_traffic", rule: "pass" });
  await servedBy(world, APP, 5);
});

test("a green that answers errors to everybody after the switch: blue serves again by itself, with the reason", async () => {
  const visitors = manyVisitors(world, APP, 100);
  const plan = { strategy: { kind: "blue_green", watchMs: 60_000 } };
  const rollout = await release(world, APP, plan, { flags: ["--errors=50"] });
  const failed = await ended(world, APP, rollout, "failed");
  await sleep(5_500);
  const seen = await visitors.stop();
  expect(failed.failure).toMatchObject({ kind: "analysis", verdict: { kind: "fail" } });
  expect(seen.at(-1)?.version).toBe("v5");
  await servedBy(world, APP, 5);
});
