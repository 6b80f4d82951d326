// The simulator as a test: twenty seeds hold all invariants, a seed replays exactly, and every broken core is caught.
import { describe, expect, it } from "vitest";
import { BROKEN_CORES } from "./broken-cores.ts";
import { HARSH, simulate } from "./simulation.ts";

const SEEDS = Array.from({ length: 20 }, (_, index) => index + 1);

describe("the simulated installation", () => {
  const total = new Map<string, number>();

  it.each(SEEDS)("holds every invariant through faults and settles afterwards, seed %i", (seed) => {
    const { violations, counts, trace } = simulate({ seed, minutes: 2, nodes: seed % 4 === 0 ? 2 : 6 });
    const context = violations.length > 0 ? `seed ${seed}\n${trace.slice(-30).join("\n")}` : "";
    expect(violations, context).toEqual([]);
    for (const [name, count] of Object.entries(counts)) total.set(name, (total.get(name) ?? 0) + count);
  });

  it.each([
    "message lost",
    "message duplicated",
    "message delayed",
    "object restarted",
    "effects lost",
    "outcome lost",
    "agent restarted",
    "node power lost",
    "node cut off",
    "node.lost",
    "node.unreachable",
    "node.returned",
    "instance crashed",
    "postgres down",
    "placement.refused",
    "request repeated",
    "rollout.completed",
    "rollout.failed",
    "rollout.cancelled",
    "rollout.superseded",
    "rollout gave up old instances for room",
  ])("really went through: %s", (fault) => {
    expect(total.get(fault) ?? 0).toBeGreaterThan(0);
  });

  it.each([101, 102, 103])("holds every invariant where a fifth of everything is lost, seed %i", (seed) => {
    const { violations, trace } = simulate({ seed, minutes: 2, faults: HARSH });
    expect(violations, `seed ${seed}\n${trace.slice(-30).join("\n")}`).toEqual([]);
  });

  it("replays a seed to the same events, rows and counts", () => {
    const first = simulate({ seed: 77, minutes: 1 });
    const again = simulate({ seed: 77, minutes: 1 });
    expect(again).toEqual(first);
    expect(simulate({ seed: 78, minutes: 1 }).trace).not.toEqual(first.trace);
  });

  it.each(BROKEN_CORES)("catches a core that $name (invariant $invariant)", ({ invariant, core, nodes }) => {
    const found: string[] = [];
    for (let seed = 1; seed <= 12 && !found.some((text) => text.startsWith(`${invariant}:`)); seed += 1) {
      found.push(...simulate({ seed, minutes: 2, nodes, core: core() }).violations);
    }
    expect(found.map((text) => text.split(":")[0])).toContain(String(invariant));
  });
});
