// Every strategy on the real stack under 100 requests/s of every method: how it moves, and that nobody notices.
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { instancesOf } from "../nodes-support.ts";
import {
  appOf,
  by,
  commanded,
  createApp,
  ended,
  flawlessly,
  release,
  servedBy,
  shareOf,
  signedLink,
  untilRollout,
} from "../rollout-support.ts";
import { sharedWorld } from "../shared-world.ts";
import { eventually, type World } from "../support.ts";

const APP = "shop";
const REPLICAS = 4;

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  await createApp(world, APP, REPLICAS);
});

interface Counted {
  readonly running: number;
  readonly ready: number;
}

/** How many ran (draining ones apart) and how many were ready at each look, until `over`. */
async function watched(over: Promise<unknown>): Promise<Counted[]> {
  let done = false;
  void over.finally(() => (done = true));
  const looks: Counted[] = [];
  while (!done) {
    const now = await instancesOf(world, APP);
    const meant = now.filter(({ phase }) => phase !== "draining" && phase !== "stopping");
    looks.push({ running: meant.length, ready: meant.filter(({ phase }) => phase === "ready").length });
    await sleep(50);
  }
  return looks;
}

const rolling = (fields: Record<string, unknown>) => ({ strategy: { kind: "rolling", ...fields } });

test("rolling with maxSurge 1: never more than one beside the four, never fewer than four ready, no request fails", async () => {
  const seen = await flawlessly(world, APP, async () => {
    const rollout = await release(world, APP, rolling({ maxSurge: 1 }));
    const looks = await watched(ended(world, APP, rollout, "completed"));
    expect(Math.max(...looks.map(({ running }) => running))).toBe(REPLICAS + 1);
    expect(Math.min(...looks.map(({ ready }) => ready))).toBe(REPLICAS);
    await sleep(1_000);
  });
  expect(new Set(seen.map(({ version }) => version))).toEqual(new Set(["v1", "v2"]));
  await servedBy(world, APP, 2);
});

test("rolling with maxSurge 0 and maxUnavailable 1: never more than four, never fewer than three ready, no request fails", async () => {
  await flawlessly(world, APP, async () => {
    const rollout = await release(world, APP, rolling({ maxSurge: 0, maxUnavailable: "25%" }));
    const looks = await watched(ended(world, APP, rollout, "completed"));
    expect(Math.max(...looks.map(({ running }) => running))).toBe(REPLICAS);
    expect(Math.min(...looks.map(({ ready }) => ready))).toBeGreaterThanOrEqual(REPLICAS - 1);
  });
  await servedBy(world, APP, 3);
});

test("blue-green: green is seen under its preview name alone, then by everybody at once; blue stays warm and takes over in a second", async () => {
  let switchedAtMs = 0;
  let backAtMs = 0;
  const seen = await flawlessly(world, APP, async () => {
    const plan = {
      strategy: { kind: "blue_green", promote: "manual", watchMs: 1_000, warmMs: 600_000 },
      analysis: null,
    };
    const rollout = await release(world, APP, plan);
    const held = await untilRollout(world, APP, rollout, ({ phase }) => phase === "holding");
    expect(held.weights).toEqual([
      { version: 4, weight: 0 },
      { version: 3, weight: 100 },
    ]);
    const unsigned = await world.visit(`v4--${APP}`);
    expect([unsigned.status, JSON.parse(unsigned.body).code]).toEqual([403, "preview_signed"]);
    const link = await signedLink(world, APP, 4);
    const preview = await eventually(
      () => world.visit(`v4--${APP}`, "/", link),
      ({ status }) => status === 200,
    );
    expect(preview.headers["x-app-version"]).toBe("v4");
    await sleep(1_000);
    switchedAtMs = Date.now();
    await commanded(world, APP, rollout, "promote");
    await ended(world, APP, rollout, "completed");
    expect(await appOf(world, APP)).toMatchObject({ warm: { version: 3 } });
    // Warm: it is there under its own name, without any traffic.
    const warm = await world.visit(`v3--${APP}`, "/", await signedLink(world, APP, 3));
    expect(warm.headers["x-app-version"]).toBe("v3");
    await sleep(1_000);
    backAtMs = Date.now();
    const back = await world.api("POST", `/v1/apps/${APP}/rollback`, {}, { "idempotency-key": crypto.randomUUID() });
    expect(back.status, JSON.stringify(back.body)).toBe(202);
    await ended(world, APP, back.body.rollout, "completed");
    await sleep(1_000);
  });
  // Nobody saw green before the switch, and nobody who came after the first who did saw blue.
  const green = by(seen, "v4");
  expect(Math.min(...green.map((one) => one.startedAtMs))).toBeGreaterThan(switchedAtMs - 100);
  const firstGreenMs = Math.min(...green.map((one) => one.endedAtMs));
  expect(firstGreenMs - switchedAtMs).toBeLessThan(5_500);
  expect(by(seen, "v3").filter((one) => one.startedAtMs > firstGreenMs && one.startedAtMs < backAtMs)).toEqual([]);
  const firstBackMs = Math.min(
    ...by(seen, "v3")
      .filter((one) => one.startedAtMs >= backAtMs)
      .map((one) => one.endedAtMs),
  );
  expect(firstBackMs - backAtMs).toBeLessThan(1_000);
  expect(Math.max(...green.map((one) => one.endedAtMs)) - backAtMs).toBeLessThan(5_000);
});

test("a canary takes its steps: so much of the traffic, replicas in proportion, the next step by time or by promotion", async () => {
  const before = await servedBy(world, APP, 3);
  expect(before.weights.find(({ version }) => version === 3)?.ready).toBe(REPLICAS);
  const steps = [{ weight: 10 }, { weight: 50, durationMs: 4_000 }];
  const marks: number[] = [];
  const seen = await flawlessly(world, APP, async () => {
    const rollout = await release(world, APP, { strategy: { kind: "canary", steps }, analysis: null });
    const first = await untilRollout(world, APP, rollout, ({ phase }) => phase === "holding");
    expect(first.step).toMatchObject({ index: 1, of: 3, weight: 10, untilMs: null });
    const { weights } = await appOf(world, APP);
    expect(weights.filter(({ weight }) => weight > 0)).toEqual([
      { version: 5, weight: 10, ready: 1 },
      { version: 3, weight: 90, ready: REPLICAS },
    ]);
    await sleep(1_000);
    marks.push(Date.now());
    await sleep(4_000);
    marks.push(Date.now());
    await commanded(world, APP, rollout, "promote");
    const second = await untilRollout(
      world,
      APP,
      rollout,
      ({ phase, step }) => phase === "holding" && step?.index === 2,
    );
    expect(second.step).toMatchObject({ index: 2, of: 3, weight: 50 });
    await sleep(500);
    marks.push(Date.now());
    await sleep(3_000);
    marks.push(Date.now());
    await ended(world, APP, rollout, "completed");
    await sleep(500);
  });
  const [a = 0, b = 0, c = 0, d = 0] = marks;
  expect(Math.abs(shareOf(seen, "v5", a, b) - 10)).toBeLessThan(3);
  expect(Math.abs(shareOf(seen, "v5", c, d) - 50)).toBeLessThan(5);
  await servedBy(world, APP, 5);
});
