// The simulator as a test: 200 seeds hold all invariants, every kind of fault really happened, and a seed replays exactly.
import { describe, expect, it } from "vitest";
import { FAULTS, FAULT_CLASSES, type FaultClass } from "./faults.ts";
import { simulate, type SimulationResult } from "./simulation.ts";

const SEEDS = Array.from({ length: 200 }, (_, index) => index + 1);
const ALL: ReadonlySet<FaultClass> = new Set(FAULT_CLASSES);
/** Seeds to a test, so that a failure is found by its name and two hundred need no two hundred lines. */
const PIECE = 10;

/** What people asked for and got, and the rarer ways that the control plane and the agents took. */
const PATHS = [
  ...["acceptRelease", "rollback", "scale", "restart", "changeEnvironment", "controlRollout", "destroy"].map(accepted),
  ...["setTraffic", "setMaintenance"].map(accepted),
  ...["rollout.held", "rollout.judged", "rollout.aborted", "rollout.paused", "rollout.promoted", "instance.recalled"],
  ...["cordon", "uncordon", "drain", "remove", "remove by force", "rebalance"].map(accepted),
  ...["remove conflict", "rebalance has steps", "drain is held, and says by what", "request repeated"],
  ...["rollout.completed", "rollout.failed", "rollout.cancelled", "rollout.superseded", "placement.refused"],
  ...["node.suspect", "node.unreachable", "node.lost", "node.returned", "node.drained", "cell.frozen", "cell.thawed"],
  ...["instance.evacuating", "instance.draining", "instance.ejected", "instance.restored"],
  ...["strict singleton fenced", "watchdog ended a strict singleton", "rollout gave up old instances for room"],
];
/** Every strategy came through and was given up in each way; every command was taken in each phase in which it can be. */
const ROLLOUT_PATHS = [
  ...["rolling", "blue_green", "canary", "immediate"].flatMap((strategy) =>
    ["completed", "failed", "aborted", "cancelled", "superseded"].map((end) => `${strategy} rollout ${end}`),
  ),
  ...["rollback", "traffic", "scale", "restart", "environment"].map((reason) => `${reason} rollout completed`),
  ...["instance", "no_capacity", "command", "smoke", "analysis", "deadline", "died"].map(
    (kind) => `rollout failed by ${kind}`,
  ),
  ...["pause", "resume", "abort", "cancel"].flatMap((command) =>
    ["preparing", "rolling", "verifying", "holding", "finishing"].map((phase) => `${command} while ${phase}: taken`),
  ),
  ...["promote while holding: taken", "promote while rolling: conflict", "pause while rolling: precondition_failed"],
  ...["promote fully while holding: taken", "promote fully while rolling: taken", "setTraffic conflict"],
  ...["rollback unprocessable", "setTraffic unprocessable", "release fell"],
  "bad release found out",
];

function accepted(asked: string): string {
  return `${asked} accepted`;
}

const total = new Map<string, number>();

function holds({ seed, violations, counts, trace }: SimulationResult): void {
  for (const [name, count] of Object.entries(counts)) total.set(name, (total.get(name) ?? 0) + count);
  expect(violations, violations.length > 0 ? `seed ${seed}\n${trace.slice(-80).join("\n")}` : "").toEqual([]);
}

describe("the simulated installation", () => {
  const pieces = SEEDS.filter((seed) => seed % PIECE === 1).map((seed) => [seed, seed + PIECE - 1] as const);

  it.each(pieces)("holds every invariant through faults and agrees again afterwards, seeds %i to %i", (from, to) => {
    for (let seed = from; seed <= to; seed += 1) {
      holds(simulate({ seed, minutes: 2, nodes: 6 + (seed % 4), apps: 3 + (seed % 3) }));
    }
  });

  it.each([1_001, 1_002, 1_003, 1_004])("holds them where a fifth of everything is lost, seed %i", (seed) => {
    holds(simulate({ seed, minutes: 1.5, weather: "harsh" }));
  });

  it.each([2_001, 2_002])("holds them with too little room for everybody, seed %i", (seed) => {
    holds(simulate({ seed, minutes: 2, nodes: 4, apps: 8 }));
  });

  it.each([4_001, 4_011])("finds out what answers a twentieth with errors, seeds %i on", (from) => {
    for (let seed = from; seed < from + PIECE; seed += 1) {
      holds(simulate({ seed, minutes: 2, manner: "careful", faults: from === 4_001 ? new Set() : ALL }));
    }
    expect(total.get("bad release found out")).toBeGreaterThan(30);
    // One in a hundred is what the judge promises at most.
    expect(total.get("good release called bad") ?? 0).toBeLessThan(3);
  });

  it.each([3_001, 3_011, 3_021])(
    "fails no request while people deploy, drain and rebalance and nothing breaks, seeds %i on",
    (from) => {
      for (let seed = from; seed < from + PIECE; seed += 1) holds(simulate({ seed, minutes: 2, faults: new Set() }));
      expect(total.get("request served")).toBeGreaterThan(1_000);
    },
  );

  it.each(FAULT_CLASSES)("really had the faults of the class %s", (name) => {
    for (const counter of FAULTS[name]) expect(total.get(counter) ?? 0, counter).toBeGreaterThan(0);
  });

  it.each([...PATHS, ...ROLLOUT_PATHS])("really went through: %s", (path) => {
    expect(total.get(path) ?? 0).toBeGreaterThan(0);
  });

  it("replays a seed to the same events, rows and counts", () => {
    const first = simulate({ seed: 77, minutes: 1 });
    const again = simulate({ seed: 77, minutes: 1 });
    expect(again).toEqual(first);
    expect(simulate({ seed: 78, minutes: 1 }).trace).not.toEqual(first.trace);
  });
});
