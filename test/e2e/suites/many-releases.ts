// First-day scenarios 4 and 8: twenty releases in a row under load, and hundreds of WebSockets through one.
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { openSockets } from "../../../dev/load/sockets.ts";
import { createApp, DRAIN_MS, ended, flawlessly, release, servedBy } from "../rollout-support.ts";
import { sharedWorld } from "../shared-world.ts";
import { eventually, type World } from "../support.ts";

const APP = "busy";
const RELEASES = 20;
const SOCKETS = 500;
const SERVICE_RESTART = 1012;
/** A release takes about five seconds on two cores; a busy machine takes several times as long. */
const TEST_TIMEOUT_MS = 900_000;

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  await createApp(world, APP, 3);
});

test(
  "200 requests/s of every method, twenty rolling releases in a row: not one request fails",
  async () => {
    const seen = await flawlessly(
      world,
      APP,
      async () => {
        for (let done = 0; done < RELEASES; done += 1) {
          await ended(world, APP, await release(world, APP, { strategy: { kind: "rolling" } }), "completed");
        }
        // The last of the old ones ends under load too.
        await sleep(DRAIN_MS + 2_000);
      },
      200,
    );
    expect(new Set(seen.map(({ version }) => version)).size).toBe(RELEASES + 1);
    await servedBy(world, APP, RELEASES + 1);
  },
  TEST_TIMEOUT_MS,
);

test("500 open WebSockets through a release: they live until the drain's end, and are told to come back spread in time", async () => {
  const place = { port: world.stack.edgePort, hostname: `${APP}.${world.stack.baseDomain}` };
  const held = await openSockets({ ...place, count: SOCKETS, everyMs: 2_000 });
  try {
    const beganAtMs = Date.now();
    await ended(world, APP, await release(world, APP, { strategy: { kind: "rolling" } }), "completed");
    await eventually(
      async () => held.sockets,
      (sockets) => sockets.every(({ closed }) => closed !== null),
      { withinMs: 60_000 },
    );
    expect(new Set(held.sockets.map(({ closed }) => closed?.code))).toEqual(new Set([SERVICE_RESTART]));
    const closesMs = held.sockets.map(({ closed }) => (closed?.atMs ?? 0) - beganAtMs).toSorted((a, b) => a - b);
    // Their farewells are spread over the last third of the drain, so that they do not all come back at once.
    expect(closesMs[0]).toBeGreaterThan((DRAIN_MS * 2) / 3);
    const spreadMs = (closesMs[Math.floor(SOCKETS * 0.95)] ?? 0) - (closesMs[Math.floor(SOCKETS * 0.05)] ?? 0);
    expect(spreadMs).toBeGreaterThan(1_500);
  } finally {
    await held.end();
  }
});
