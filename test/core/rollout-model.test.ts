// core/rollout within core/app, against a model: whatever comes in whichever order, the invariants of a rollout hold, and it ends.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BenchApp } from "./bench-object.ts";
import { STEPS } from "./rollout-commands.ts";
import { activeOf, hold, newModel } from "./rollout-model.ts";
import { SEED, announced } from "./seed.ts";

/** Enough that each end comes up, whatever the seed: the rarest comes up in one run of nine, and in none of all once in a billion times. */
const RUNS = 180;
const LIMITS = { deadlineMs: 300_000, promoteWithinMs: 300_000, drainMs: 30_000, verifyPatienceMs: 60_000 };

describe("a rollout", () => {
  it(announced("keeps its promises in every order of events, and ends by its deadline when nothing more comes"), () => {
    const ends = new Map<string, number>();
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.commands([...STEPS], { maxCommands: 60, size: "max" }),
        (replicas, steps) => {
          const app = new BenchApp(LIMITS);
          app.deploy({}, replicas);
          const model = newModel(app);
          hold(model, app);
          fc.modelRun(() => ({ model, real: app }), steps);
          const row = activeOf(app);
          if (row) {
            app.tick(Math.max(1, row.deadlineAtMs - app.nowMs));
            expect(activeOf(app)?.id).not.toBe(row.id);
            hold(model, app);
          }
          for (const { phase } of app.tables.rollouts.values()) ends.set(phase.kind, (ends.get(phase.kind) ?? 0) + 1);
        },
      ),
      { seed: SEED, numRuns: RUNS },
    );
    // It went through all that it speaks of.
    for (const kind of ["completed", "failed", "aborted", "cancelled", "superseded"]) {
      expect(ends.get(kind) ?? 0, kind).toBeGreaterThan(0);
    }
  });
});
