// What is under way while an app is released: with a KV that never hears of the new route, nobody is dropped, and WebSockets live
// until their release's deadline.
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { HELD_KINDS, startHeldVisits } from "../held-visits.ts";
import { openSockets, type HeldSocket } from "../../../dev/load/sockets.ts";
import { by, createApp, DRAIN_MS, ended, flawlessly, release, servedBy } from "../rollout-support.ts";
import { sharedWorld } from "../shared-world.ts";
import { eventually, type World } from "../support.ts";

const APP = "held";
const REPLICAS = 3;
const HOLD_MS = 3_000;
const SERVICE_RESTART = 1012;

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  await createApp(world, APP, REPLICAS);
});

const place = () => ({ port: world.stack.edgePort, hostname: `${APP}.${world.stack.baseDomain}` });

interface Through {
  readonly plan: Record<string, unknown>;
  readonly from: string;
  readonly to: string;
}

/** A release with all kinds of visits under way, from before it until nothing of the old one is left. */
async function releasedUnderVisits({ plan, from, to }: Through): Promise<void> {
  const held = startHeldVisits({ ...place(), holdMs: HOLD_MS, atOnce: 4 });
  const old = await openSockets({ ...place(), count: 40, everyMs: 250 });
  let beganAtMs = 0;
  try {
    const seen = await flawlessly(
      world,
      APP,
      async (visitors) => {
        await sleep(HOLD_MS);
        beganAtMs = Date.now();
        const rollout = await release(world, APP, plan);
        await ended(world, APP, rollout, "completed");
        // An edge hears of the last step with its next answer from a node that has.
        await eventually(
          async () => visitors.seen.slice(-50),
          (seen) => seen.every(({ version }) => version === to),
        );
        const fresh = await openSockets({ ...place(), count: 10, everyMs: 250 });
        await eventually(
          async () => old.sockets,
          (sockets) => sockets.every(({ closed }) => closed !== null),
          { withinMs: 60_000 },
        );
        expect(fresh.sockets.every(({ version, closed }) => version === to && closed === null)).toBe(true);
        await fresh.end();
      },
      60,
    );
    // Everybody who comes after the drain is served by the new one, whatever KV says.
    expect(by(seen, to).length).toBeGreaterThan(0);
    expect(seen.at(-1)?.version).toBe(to);
  } finally {
    await Promise.all([held.stop(), old.end()]);
  }
  for (const kind of HELD_KINDS) {
    expect(held.report[kind].failures, kind).toEqual([]);
    expect(held.report[kind].ended, kind).toBeGreaterThan(4);
  }
  expectLived(old.sockets, from, beganAtMs);
}

/** Answered all the while, none told to come back before the last third of the old release's drain, and all told so. */
function expectLived(sockets: readonly HeldSocket[], from: string, beganAtMs: number): void {
  expect(new Set(sockets.map(({ version }) => version))).toEqual(new Set([from]));
  expect(new Set(sockets.map(({ closed }) => closed?.code))).toEqual(new Set([SERVICE_RESTART]));
  expect(Math.min(...sockets.map(({ closed }) => closed?.atMs ?? 0)) - beganAtMs).toBeGreaterThan((DRAIN_MS * 2) / 3);
  expect(Math.min(...sockets.map(({ echoes }) => echoes))).toBeGreaterThan(20);
  // A drain that holds them up does so until the farewells; a busy machine holds everything up for a second or two.
  expect(Math.max(...sockets.map(({ waitedMsMax }) => waitedMsMax))).toBeLessThan(5_000);
}

test("rolling: keep-alive, pipelined, streaming, slow and uploading visits and WebSockets all end as they should", async () => {
  await releasedUnderVisits({ plan: { strategy: { kind: "rolling", maxSurge: 1 } }, from: "v1", to: "v2" });
});

test("with KV as it was before the release, read anew by a fresh edge, nobody is dropped either", async () => {
  await servedBy(world, APP, 2);
  // KV gets what changed at most once a second.
  await sleep(2_000);
  await world.stack.freezeKv();
  await releasedUnderVisits({ plan: { strategy: { kind: "rolling" } }, from: "v2", to: "v3" });
});

test("an isolate that wakes up with a route from before the last release serves its first visitor all the same", async () => {
  await servedBy(world, APP, 3);
  await world.stack.restart("edge");
  const first = await world.visit(APP, "/", { method: "POST" });
  expect(first).toMatchObject({ status: 200, headers: { "x-app-version": "v3" } });
});

test("blue-green: the switch drops nothing that is under way", async () => {
  const strategy = { kind: "blue_green", watchMs: 1_000, warmMs: 1_000 };
  await releasedUnderVisits({ plan: { strategy, analysis: null }, from: "v3", to: "v4" });
});

test("canary: no step drops anything that is under way", async () => {
  await servedBy(world, APP, 4);
  const steps = [
    { weight: 20, durationMs: 2_000 },
    { weight: 60, durationMs: 2_000 },
  ];
  await releasedUnderVisits({ plan: { strategy: { kind: "canary", steps }, analysis: null }, from: "v4", to: "v5" });
});
