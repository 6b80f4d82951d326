// A check that cannot fail is a defect: every deliberately broken core and agent is caught, by the invariant that it breaks.
import { describe, expect, it } from "vitest";
import { BROKEN_AGENTS } from "./broken-agents.ts";
import { BROKEN_CORES } from "./broken-cores.ts";
import { BROKEN_ROLLOUTS } from "./broken-rollouts.ts";
import type { Broken } from "./broken.ts";
import { simulate } from "./simulation.ts";

const SEEDS_MAX = 30;

/** The invariants named by the first seeds, until one of them is the one that is broken. */
function named({ invariant, core, setup }: Broken): string[] {
  const found: string[] = [];
  for (let seed = 1; seed <= SEEDS_MAX && !found.includes(String(invariant)); seed += 1) {
    const { violations } = simulate({ minutes: 2, ...setup, seed, core: core() });
    found.push(...violations.map((text) => text.slice(0, text.indexOf(":"))));
  }
  return found;
}

describe("the simulator catches", () => {
  it.each([...BROKEN_CORES, ...BROKEN_ROLLOUTS])("a core that $name (invariant $invariant)", (broken) => {
    expect(named(broken)).toContain(String(broken.invariant));
  });

  it.each(BROKEN_AGENTS)("an agent that $name (invariant $invariant)", (broken) => {
    expect(named(broken)).toContain(String(broken.invariant));
  });

  it("one of every invariant that it checks", () => {
    const invariants = new Set(
      [...BROKEN_CORES, ...BROKEN_ROLLOUTS, ...BROKEN_AGENTS].map(({ invariant }) => invariant),
    );
    const promises = ["spread", "apart", "cordon", "moves", "judged"] as const;
    expect(invariants).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 10, 11, 13, 14, 20, 21, 22, ...promises]));
  });
});
