// First-day scenario 19, at a tenth of its size (`npm run bench:fleet` has all of it): a whole fleet comes back at once.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { comeHome } from "../../bench/fleet/homecoming.ts";
import { startFleet, type Fleet } from "../../bench/sim-fleet/fleet.ts";
import { REGION } from "../../dev/stack/options.ts";
import { createWorld, type World } from "./support.ts";

const AGENTS = 200;
const AWAY_MS = 10_000;
const SERVED_WITHIN_MS = 60_000;

describe(`${AGENTS} agents`, () => {
  let world: World;
  let fleet: Fleet;

  beforeAll(async () => {
    world = await createWorld({ agents: 0, tuning: { apiRequestsPerMinute: 1_000_000 } });
    const { controlUrl, operator } = world.stack;
    fleet = await startFleet({
      ...{ controlUrl, operatorToken: operator.token, region: REGION, firstNode: 1, nodes: AGENTS },
      ...{ enrolAtOnce: 8, startWithinMs: 2_000, transport: "socket" },
    });
  });
  afterAll(async () => {
    await fleet?.stop();
    await world?.end();
  });

  const phases = async (): Promise<string[]> => {
    const all: string[] = [];
    for (let path: string | null = "/v1/nodes?limit=100"; path !== null;) {
      const { body } = await world.api("GET", path);
      for (const node of body.items) all.push(node.phase);
      path = body.nextCursor ? `/v1/nodes?limit=100&cursor=${encodeURIComponent(body.nextCursor)}` : null;
    }
    return all;
  };

  it("are in as many cells as they need, and all of them are heard", async () => {
    expect(fleet.cells.length).toBe(Math.ceil(AGENTS / 64));
    await expect.poll(phases, { timeout: 60_000, interval: 1_000 }).toEqual(Array(AGENTS).fill("ready"));
  });

  it("that come back at once after the control plane was away are all served within 60 s, and none is refused twice", async () => {
    const home = await comeHome(world.stack, fleet, { awayMs: AWAY_MS, withinMs: SERVED_WITHIN_MS });
    expect(home).toMatchObject({ agents: AGENTS, served: AGENTS, refusedTwice: 0 });
    expect(home.allServedMs).toBeLessThanOrEqual(SERVED_WITHIN_MS);
  });

  it("were not held for lost because the control plane was away", async () => {
    await expect.poll(phases, { timeout: 60_000, interval: 1_000 }).toEqual(Array(AGENTS).fill("ready"));
    const { body } = await world.api("GET", "/v1/nodes?limit=1");
    const { body: events } = await world.api("GET", `/v1/nodes/${body.items[0].id}/events`);
    expect(events.items.map((event: { type: string }) => event.type)).not.toContain("node.lost");
  });

  it("then beat and poll without a failure", async () => {
    await fleet.report();
    await sleep(4_000);
    const { heartbeatMs, failures } = await fleet.report();
    expect(failures).toEqual({});
    // Every two seconds, give or take the jitter.
    expect(heartbeatMs.length).toBeGreaterThan(AGENTS);
  });
});
