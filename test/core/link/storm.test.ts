// First-day scenario 19 in virtual time: 2,000 agents whose sockets ended together come back to one workerd, which has little to spare for them.
import { describe, expect, it } from "vitest";
import { World } from "../../sim/world.ts";
import { StormAgent } from "./storm-agent.ts";
import { StormControl, type Work } from "./storm-control.ts";

/** In place of 2,000, for a control plane that is four times as slow: the same load, and a quarter of the events. */
const AGENTS = 500;
const SCALE = 2_000 / AGENTS;
const START_WITHIN_MS = 20_000;
const SETTLED_MS = 40_000;
const AWAY_MS = 12_000;
const SERVED_WITHIN_MS = 60_000;

/** What became of all agents within a minute of the control plane's return, and what it did in the ten seconds after that. */
function comeHome(seed: number, slowness: number) {
  const world = new World(seed);
  const control = new StormControl(world, slowness * SCALE);
  const fleet = Array.from({ length: AGENTS }, () => new StormAgent(control));
  const run = (forMs: number) => world.runUntil(world.nowMs + forMs, () => undefined);
  for (const agent of fleet) world.after(world.random() * START_WITHIN_MS, () => agent.start());
  run(SETTLED_MS);
  control.kill();
  run(AWAY_MS);
  for (const agent of fleet) agent.begin();
  control.return();
  const backAtMs = world.nowMs;
  run(SERVED_WITHIN_MS);
  control.did.clear();
  run(10_000);
  const did = (work: Work) => control.did.get(work) ?? 0;
  const servedMs = fleet.map(({ heardAtMs, wakeableAtMs }) => Math.max(heardAtMs, wakeableAtMs) - backAtMs);
  return {
    served: servedMs.filter((ms) => ms <= SERVED_WITHIN_MS).length,
    lastServedMs: Math.max(...servedMs),
    onSockets: fleet.filter(({ state }) => state.kind === "open").length,
    refusedTwice: fleet.filter(({ refused }) => refused > 1).length,
    upgradesMost: Math.max(...fleet.map(({ upgrades }) => upgrades)),
    waiting: control.waiting,
    afterwards: { httpBeats: did("httpBeat"), late: did("lateHttpBeat") + did("lateSocketBeat") },
  };
}

describe("2,000 agents whose sockets ended together", () => {
  it.each([1, 2, 3])("are back on sockets after one upgrade each, and none is refused (seed %i)", (seed) => {
    const home = comeHome(seed, 1);
    expect(home).toMatchObject({ served: AGENTS, onSockets: AGENTS, upgradesMost: 1, refusedTwice: 0 });
    expect(home.afterwards).toEqual({ httpBeats: 0, late: 0 });
    expect(home.lastServedMs).toBeLessThan(20_000);
  });

  // HTTP alone is too much for it then: 1,000 heartbeats a second at 1.4 ms. Sockets take a third of that, and so they are the way out.
  it("get on sockets even where heartbeats over HTTP are all refused for coming late", () => {
    expect(comeHome(1, 2)).toMatchObject({ served: AGENTS, onSockets: AGENTS, upgradesMost: 1 });
  });

  it.each([1, 2])("get out of an overload that heartbeats over HTTP would keep up for ever (seed %i)", (seed) => {
    const home = comeHome(seed, 1.6);
    expect(home).toMatchObject({ served: AGENTS, onSockets: AGENTS });
    expect(home.upgradesMost).toBeLessThanOrEqual(2);
    expect(home.waiting).toBeLessThan(50);
    expect(home.afterwards).toEqual({ httpBeats: 0, late: 0 });
  });
});
