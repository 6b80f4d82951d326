// core/rollout: any plan under any commands, against what must hold of it at every moment; and its stages as a table.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RolloutPlan, type RolloutCommand } from "../../contracts/rollout-plan.ts";
import type { InstanceId, ReleaseId, RolloutId } from "../../contracts/ids.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { commandRollout } from "../../core/rollout/commands.ts";
import type { VerifyResult } from "../../core/rollout/seen.ts";
import type { SlotView } from "../../core/rollout/slots.ts";
import { deadlineMsOf, stagesOf } from "../../core/rollout/stages.ts";
import { begun, stepRollout } from "../../core/rollout/step.ts";
import { isActive, type RolloutRow } from "../../core/rollout/types.ts";
import { apportion, percentFor } from "../../core/rollout/weights.ts";
import { SEED, announced } from "./seed.ts";

const target = (version: number, replicas: number) => {
  return { release: `rel_${version}` as ReleaseId, version, replicas, cohort: `c${version}` };
};
const rowOf = (plan: unknown, replicas: number): RolloutRow => {
  const parsed = RolloutPlan.parse({ analysis: null, ...(plan as object) });
  const row: RolloutRow = {
    id: "roll_x" as RolloutId,
    reason: "release",
    from: target(1, replicas),
    to: target(2, replicas),
    plan: parsed,
    startedAtMs: 0,
    deadlineAtMs: deadlineMsOf(parsed, replicas, DEFAULT_LIMITS),
    startedBy: "user:x",
    shed: 0,
    revision: 1,
    stage: 0,
    weight: 0,
    phase: { kind: "preparing", ready: 0, sinceMs: 0 },
  };
  return begun(row);
};

describe("stages", () => {
  const canary = { strategy: { kind: "canary", steps: [{ weight: 5 }, { weight: 50, durationMs: 60_000 }] } };
  it.each([
    ["rolling", {}, [{ slots: 10, weight: "ready", holdMs: 0 }]],
    ["immediate", { strategy: { kind: "immediate" } }, [{ slots: 10, weight: "first", holdMs: 0 }]],
    ["blue-green", { strategy: { kind: "blue_green" } }, [{ slots: 10, weight: 100, holdMs: 60_000 }]],
    [
      "blue-green by hand",
      { strategy: { kind: "blue_green", promote: "manual", watchMs: 0 } },
      [
        { slots: 10, weight: 0, holdMs: null },
        { slots: 10, weight: 100, holdMs: 0 },
      ],
    ],
    [
      "canary",
      canary,
      [
        { slots: 1, weight: 5, holdMs: null },
        { slots: 5, weight: 50, holdMs: 60_000 },
        { slots: 10, weight: 100, holdMs: 0 },
      ],
    ],
  ])("of %s", (_name, plan, expected) => {
    expect(stagesOf(rowOf(plan, 10))).toMatchObject(expected);
  });

  it("take their own time beyond what any rollout gets, a day for each that waits for people", () => {
    const over = (plan: unknown): number => rowOf(plan, 10).deadlineAtMs - DEFAULT_LIMITS.deadlineMs;
    expect(over({})).toBe(0);
    const { promoteWithinMs, batchMs } = DEFAULT_LIMITS;
    expect(over(canary)).toBe(promoteWithinMs + 60_000 + 2 * batchMs);
    expect(over({ strategy: { kind: "rolling", maxSurge: 2, pauseMs: 1_000 } })).toBe(4_000 + 4 * batchMs);
    expect(over({ before: { command: ["x"], timeoutMs: 7_000 }, after: { command: ["x"], timeoutMs: 1_000 } })).toBe(
      8_000,
    );
  });
});

const anyStrategy = fc.oneof(
  fc.record({ kind: fc.constant("rolling"), maxSurge: fc.integer({ min: 1, max: 4 }), maxUnavailable: fc.nat(2) }),
  fc.record({
    kind: fc.constant("blue_green"),
    promote: fc.constantFrom("automatic", "manual"),
    watchMs: fc.constantFrom(0, 60_000),
  }),
  fc.record({
    kind: fc.constant("canary"),
    steps: fc
      .uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 4 })
      .map((weights) =>
        weights.sort((a, b) => a - b).map((weight) => ({ weight, ...(weight % 2 ? { durationMs: 5_000 } : {}) })),
      ),
  }),
  fc.constant({ kind: "immediate" }),
);
/** What happens next: an instance comes up, dies or answers; time passes; somebody says something. */
type Act =
  | { readonly kind: "up" | "down" | "answer"; readonly slot: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "command"; readonly command: RolloutCommand };
const anyAct: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: fc.nat(5).map((slot): Act => ({ kind: "up", slot })) },
  { weight: 8, arbitrary: fc.nat(5).map((slot): Act => ({ kind: "answer", slot })) },
  { weight: 2, arbitrary: fc.nat(5).map((slot): Act => ({ kind: "down", slot })) },
  { weight: 4, arbitrary: fc.nat(40_000).map((ms): Act => ({ kind: "wait", ms })) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom<RolloutCommand>("pause", "resume", "promote", "promote", "resume", "abort", "cancel")
      .map((command): Act => ({ kind: "command", command })),
  },
);

/** The world beside the rollout: who is ready, in which life, and who ever answered. */
class Slots {
  private readonly lives: number[];
  private readonly up = new Set<number>();
  readonly answered = new Set<string>();
  constructor(replicas: number) {
    this.lives = Array.from({ length: replicas }, () => 1);
  }
  act(act: Act, wanted: number): VerifyResult[] {
    if (act.kind !== "up" && act.kind !== "down" && act.kind !== "answer") return [];
    if (act.slot >= Math.min(wanted, this.lives.length)) return [];
    if (act.kind === "up") this.up.add(act.slot);
    if (act.kind === "down" && this.up.delete(act.slot)) this.lives[act.slot]! += 1;
    if (act.kind !== "answer" || !this.up.has(act.slot)) return [];
    const placed = this.placed(act.slot);
    this.answered.add(`${placed.instance}/${placed.generation}`);
    return [{ instance: placed.instance, generation: placed.generation, ok: true, message: "" }];
  }
  private placed(slot: number) {
    return { instance: `ins_${slot}` as InstanceId, generation: this.lives[slot]!, node: null };
  }
  views(): SlotView[] {
    return this.lives.map((_, slot) =>
      this.up.has(slot) ? { kind: "ready", ...this.placed(slot) } : { kind: "missing" },
    );
  }
  areAllVerified(): boolean {
    return this.lives.every((life, slot) => this.up.has(slot) && this.answered.has(`ins_${slot}/${life}`));
  }
  get ready(): number {
    return this.up.size;
  }
}

describe(announced("any plan under any commands"), () => {
  it("gives weight only to what was let in, moves its revision, ends by its deadline, and completes only when all answered", () => {
    fc.assert(
      fc.property(
        anyStrategy,
        fc.integer({ min: 1, max: 6 }),
        fc.array(anyAct, { maxLength: 80 }),
        (strategy, replicas, acts) => {
          let row = rowOf({ strategy }, replicas);
          const slots = new Slots(replicas);
          const allowed = new Set(stagesOf(row).map(({ weight }) => weight));
          let nowMs = 0;
          for (const act of acts) {
            if (act.kind === "wait") nowMs += act.ms;
            const before = row;
            if (act.kind === "command") {
              const outcome = commandRollout(row, { command: act.command, by: "user:x", reason: null }, nowMs);
              if (outcome.kind === "taken") row = outcome.row;
            }
            const results = slots.act(act, row.slots ?? replicas);
            row = stepRollout(row, { kind: "look", seen: { slots: slots.views() }, results }, nowMs, DEFAULT_LIMITS);
            if (!isActive(before.phase)) expect(row).toBe(before);
            if (isActive(row.phase)) expect(nowMs).toBeLessThan(row.deadlineAtMs);
            // Level-triggered: looked at again with nothing new, nothing changes.
            expect(stepRollout(row, { kind: "look", seen: { slots: slots.views() } }, nowMs, DEFAULT_LIMITS)).toBe(row);
            const percent = percentFor(row, { from: replicas, to: slots.ready });
            expect(percent >= 0 && percent <= 100).toBe(true);
            if (!isActive(row.phase)) expect(percent).toBe(0);
            else if (!allowed.has("ready") && !allowed.has("first"))
              expect(percent === 0 || allowed.has(percent)).toBe(true);
            if (row.phase.kind === "completed" && isActive(before.phase)) expect(slots.areAllVerified()).toBe(true);
            if (before.paused && row.paused && isActive(row.phase)) expect(row.weight).toBe(before.weight);
          }
          const end = stepRollout(
            row,
            { kind: "look", seen: { slots: slots.views() } },
            row.deadlineAtMs,
            DEFAULT_LIMITS,
          );
          expect(isActive(end.phase)).toBe(false);
        },
      ),
      { seed: SEED, numRuns: 3_000 },
    );
  });

  it("apportions integers that sum to 100 over who is able, each at least 1 and none far from its share", () => {
    const anyShares = fc.array(fc.record({ wanted: fc.nat(10_000), able: fc.boolean() }), { maxLength: 9 });
    fc.assert(
      fc.property(anyShares, (shares) => {
        const weights = apportion(shares);
        const able = shares.filter((share) => share.able && share.wanted > 0);
        const total = able.reduce((sum, { wanted }) => sum + wanted, 0);
        expect(weights.reduce((sum, weight) => sum + weight, 0)).toBe(total > 0 ? 100 : 0);
        for (const [at, { wanted, able: isAble }] of shares.entries()) {
          expect(Number.isInteger(weights[at])).toBe(true);
          if (!isAble || wanted === 0) expect(weights[at]).toBe(0);
          else expect(weights[at]).toBeGreaterThanOrEqual(1);
          if (isAble && total > 0)
            expect(Math.abs(weights[at]! - (100 * wanted) / total)).toBeLessThanOrEqual(able.length);
        }
      }),
      { seed: SEED, numRuns: 3_000 },
    );
  });
});
