// An hour without an agent, without the control plane, without Postgres: every invariant holds throughout, and after it all agree.
import { describe, expect, it } from "vitest";
import type { FaultClass } from "./faults.ts";
import { simulate } from "./simulation.ts";

/** What goes on breaking meanwhile: instances end, and are started again where they are. */
const FAULTS: ReadonlySet<FaultClass> = new Set(["crash"]);

describe("the simulated installation, an hour without", () => {
  it.each(["an agent", "the control plane", "Postgres"] as const)(
    "%s, holds every invariant and agrees again",
    (away) => {
      const { violations, counts, settledAfterMs, trace } = simulate({
        ...{ seed: 11, minutes: 62, nodes: 4, kinds: ["plain", "strict"], faults: FAULTS, away },
      });
      expect(violations, trace.slice(-60).join("\n")).toEqual([]);
      expect(counts[`${away} away for an hour`]).toBe(1);
      expect(counts["instance crashed"]).toBeGreaterThan(0);
      expect(settledAfterMs).toBeLessThanOrEqual(60_000);
    },
  );
});
