// core/rollout: what becomes of a rollout, as a table of cases and as properties over random histories.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { InstanceFailure, Refusal } from "../../contracts/failures.ts";
import type { InstanceId, ReleaseId, RolloutId } from "../../contracts/ids.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { rolloutWakeAtMs } from "../../core/rollout/give-up.ts";
import type { SlotView } from "../../core/rollout/slots.ts";
import { stepRollout, type RolloutEvent } from "../../core/rollout/step.ts";
import { isActive, type RolloutPhase, type RolloutRow } from "../../core/rollout/types.ts";
import { splitWeight } from "../../core/rollout/weights.ts";
import { SEED, announced } from "./seed.ts";

const failure: InstanceFailure = { code: "exited", message: "exit 1", exitCode: 1, signal: null, logTail: [] };
const refusal: Refusal = {
  nodesTotal: 2,
  constraints: [{ constraint: "memory", nodesExcluded: 2, requested: 10, missing: 3 }],
};
const placed = (n: number) => ({ instance: `ins_${n}` as InstanceId, generation: 1, node: null });
const ready = (n: number): SlotView => ({ kind: "ready", ...placed(n) });
const starting = (n: number, startedAtMs: number | null = 0): SlotView => ({
  kind: "starting",
  status: "starting",
  startedAtMs,
  ...placed(n),
});
const crashing = (n: number, crashes: number, everReady = false): SlotView => ({
  kind: "crashing",
  crashes,
  everReady,
  failure,
  ...placed(n),
});
const placing = (refusedSinceMs: number | null, roomComing = false): SlotView => ({
  kind: "placing",
  refusal: refusedSinceMs === null ? null : refusal,
  refusedSinceMs,
  roomComing,
});
const rolling: RolloutPhase = { kind: "rolling", ready: 0, waitingFor: null };
const verifying: RolloutPhase = { kind: "verifying", ready: 2, sinceMs: 0 };
const missed: Partial<RolloutRow> = {
  phase: verifying,
  verified: [],
  miss: { instance: placed(1).instance, node: null, message: "no answer", smoke: false, sinceMs: 0 },
};

const row = (phase: RolloutPhase = rolling, replicas = 2, more: Partial<RolloutRow> = {}): RolloutRow => ({
  id: "roll_x" as RolloutId,
  reason: "release",
  from: null,
  to: { release: "rel_x" as ReleaseId, version: 2, replicas, cohort: "c" },
  startedAtMs: 0,
  deadlineAtMs: 600_000,
  startedBy: "user:x",
  shed: 0,
  phase,
  ...more,
});
const look = (...slots: SlotView[]): RolloutEvent => ({ kind: "look", seen: { slots } });
const verified = (slots: SlotView[], ...ok: boolean[]): RolloutEvent => ({
  kind: "look",
  seen: { slots },
  results: ok.map((answered, index) => ({ ...placed(index + 1), ok: answered, message: answered ? "" : "no answer" })),
});

describe("a rollout", () => {
  const cases: [string, RolloutPhase | Partial<RolloutRow>, RolloutEvent, number, Record<string, unknown>][] = [
    ["waits while one replica starts", rolling, look(ready(1), starting(2)), 1, { kind: "rolling", ready: 1 }],
    ["says what it waits for", rolling, look(ready(1), starting(2)), 1, { waitingFor: "1 of 2 ready; 1 starting" }],
    ["verifies when all are ready", rolling, look(ready(1), ready(2)), 5, { kind: "verifying", sinceMs: 5 }],
    [
      "completes when every replica answered",
      verifying,
      verified([ready(1), ready(2)], true, true),
      9,
      { kind: "completed" },
    ],
    [
      "goes on while only some answered",
      verifying,
      verified([ready(1), ready(2)], true, false),
      9,
      { kind: "verifying", ready: 2 },
    ],
    ["rolls again when one is ready no more", verifying, look(ready(1), starting(2)), 9, { kind: "rolling" }],
    [
      "takes no answer of an instance it does not want",
      verifying,
      verified([ready(3), ready(4)], true, true),
      9,
      { kind: "verifying", ready: 2 },
    ],
    [
      "fails at once when an instance failed",
      rolling,
      look(ready(1), { kind: "failed", failure, ...placed(2) }),
      1,
      { kind: "failed" },
    ],
    ["bears two crashes", rolling, look(ready(1), crashing(2, 2)), 1, { kind: "rolling" }],
    [
      "fails at the third crash of a never-ready instance",
      rolling,
      look(ready(1), crashing(2, 3)),
      1,
      { kind: "failed" },
    ],
    ["bears crashes of what was ready before", rolling, look(ready(1), crashing(2, 9, true)), 1, { kind: "rolling" }],
    [
      "fails when the startup budget is used up",
      rolling,
      look(starting(1)),
      DEFAULT_LIMITS.startupBudgetMs,
      { kind: "failed" },
    ],
    [
      "counts the budget from the first start, not the pull",
      rolling,
      look(starting(1, null)),
      300_000,
      { kind: "rolling" },
    ],
    ["is patient with a refusal", rolling, look(placing(0)), 1_000, { kind: "rolling" }],
    [
      "fails with the refusal after that",
      rolling,
      look(placing(0)),
      DEFAULT_LIMITS.placementPatienceMs,
      { kind: "failed", failure: { kind: "no_capacity", refusal } },
    ],
    ["waits for room of its own to come free", rolling, look(placing(0, true)), 60_000, { kind: "rolling" }],
    [
      "fails at the deadline",
      rolling,
      look(ready(1), { kind: "missing" }),
      600_000,
      { kind: "failed", failure: { kind: "deadline", waitedMs: 600_000, waitingFor: "1 of 2 ready; 1 missing" } },
    ],
    [
      "fails when verification goes on missing",
      missed,
      look(ready(1), ready(2)),
      DEFAULT_LIMITS.verifyPatienceMs,
      { kind: "failed", failure: { kind: "verification", instance: "ins_1", node: null, message: "no answer" } },
    ],
    [
      "waits for a verifier that says nothing until the deadline",
      verifying,
      look(ready(1), ready(2)),
      599_999,
      { kind: "verifying" },
    ],
    [
      "fails at the deadline when the verifier never spoke",
      verifying,
      look(ready(1), ready(2)),
      600_000,
      { kind: "failed" },
    ],
    ["completes at once when scaled to nothing", rolling, look(), 1, { kind: "completed" }],
    ["is cancelled while it rolls", rolling, { kind: "cancel" }, 3, { kind: "cancelled", endedAtMs: 3 }],
    ["is cancelled while it verifies", verifying, { kind: "cancel" }, 3, { kind: "cancelled" }],
    ["gives way to a newer one", verifying, { kind: "supersede" }, 3, { kind: "superseded" }],
  ];
  it.each(cases)("%s", (_name, before, event, nowMs, expected) => {
    const given = "kind" in before ? row(before) : row(verifying, 2, before);
    // All slots that there are is what is wanted.
    const replicas = event.kind === "look" ? event.seen.slots.length : 2;
    const after = stepRollout({ ...given, to: { ...given.to, replicas } }, event, nowMs, DEFAULT_LIMITS);
    expect(after.phase).toMatchObject(expected);
  });

  it("remembers who answered, for as long as they are ready", () => {
    const slots = [ready(1), ready(2)];
    const after = stepRollout(row(verifying), verified(slots, true, false), 9, DEFAULT_LIMITS);
    expect(after).toMatchObject({ verified: ["ins_1/1"], miss: { instance: "ins_2", sinceMs: 9 } });
    const stranger = stepRollout(row(verifying), verified([ready(3), ready(4)], true, true), 9, DEFAULT_LIMITS);
    expect(stranger.verified).toEqual([]);
    const unready = stepRollout(after, look(starting(1), ready(2)), 10, DEFAULT_LIMITS);
    expect(unready).toMatchObject({ verified: [], phase: { kind: "rolling" } });
  });

  const finals: RolloutPhase[] = [
    ...(["completed", "cancelled", "superseded"] as const).map((kind) => ({ kind, ready: 1, endedAtMs: 1 })),
    { kind: "failed", ready: 1, endedAtMs: 1, failure: { kind: "no_capacity", refusal } },
  ];
  it.each(finals)("stays $kind whatever comes", (phase) => {
    for (const event of [
      look(starting(1)),
      verified([ready(1)], true),
      { kind: "cancel" },
      { kind: "supersede" },
    ] as const) {
      const before = row(phase);
      expect(stepRollout(before, event, 1e9, DEFAULT_LIMITS)).toBe(before);
    }
  });

  it("returns the very same row when nothing changed, so that no row is written", () => {
    const before = stepRollout(row(), look(ready(1), starting(2)), 1, DEFAULT_LIMITS);
    expect(stepRollout(before, look(ready(1), starting(2)), 2, DEFAULT_LIMITS)).toBe(before);
  });

  it("wakes for the nearest of its times, and not for patience that nothing tries", () => {
    const wake = (at: RolloutRow, slot: SlotView) => rolloutWakeAtMs(at, { slots: [slot] }, 1, DEFAULT_LIMITS);
    expect(wake(row(), starting(1, 100))).toBe(100 + DEFAULT_LIMITS.startupBudgetMs);
    expect(wake(row(verifying), ready(1))).toBe(600_000);
    expect(wake(row(verifying, 1, missed), ready(1))).toBe(DEFAULT_LIMITS.verifyPatienceMs);
  });
});

const anySlot: fc.Arbitrary<SlotView> = fc.oneof(
  fc.constant<SlotView>({ kind: "missing" }),
  fc.nat(3).map((n) => ready(n)),
  fc.tuple(fc.nat(3), fc.option(fc.nat(1e6))).map(([n, at]) => starting(n, at)),
  fc.tuple(fc.nat(3), fc.nat(5), fc.boolean()).map(([n, crashes, ever]) => crashing(n, crashes, ever)),
  fc.tuple(fc.option(fc.nat(1e6)), fc.boolean()).map(([at, coming]) => placing(at, coming)),
  fc.nat(3).map((n): SlotView => ({ kind: "failed", failure, ...placed(n) })),
);
const anyEvent: fc.Arbitrary<RolloutEvent> = fc.oneof(
  { weight: 5, arbitrary: fc.array(anySlot, { maxLength: 3 }).map((slots): RolloutEvent => look(...slots)) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.array(anySlot, { maxLength: 3 }), fc.array(fc.boolean(), { maxLength: 3 }))
      .map(([slots, answers]) => verified(slots, ...answers)),
  },
  { weight: 1, arbitrary: fc.constantFrom<RolloutEvent>({ kind: "cancel" }, { kind: "supersede" }) },
);

describe(announced("any history of a rollout"), () => {
  it("is total, ends by its deadline, and completes only after every replica answered", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyEvent, fc.nat(100_000)), { maxLength: 30 }), (history) => {
        let now = row();
        let nowMs = 0;
        const answered = new Set<string>();
        for (const [event, waitMs] of history) {
          nowMs += waitMs;
          const before = now;
          if (event.kind === "look") {
            for (const result of event.results ?? []) if (result.ok) answered.add(`${result.instance}/1`);
            now = { ...now, to: { ...now.to, replicas: event.seen.slots.length } };
          }
          now = stepRollout(now, event, nowMs, DEFAULT_LIMITS);
          if (!isActive(before.phase)) expect(now.phase).toBe(before.phase);
          if (isActive(now.phase)) expect(nowMs).toBeLessThan(600_000);
          if (now.phase.kind === "completed" && isActive(before.phase) && event.kind === "look") {
            const { slots } = event.seen;
            expect(slots.every((slot) => slot.kind === "ready" && answered.has(`${slot.instance}/1`))).toBe(true);
          }
        }
        const end = stepRollout(now, { kind: "cancel" }, nowMs, DEFAULT_LIMITS);
        expect(isActive(end.phase)).toBe(false);
      }),
      { seed: SEED, numRuns: 2_000 },
    );
  });

  it("splits traffic into integers that sum to 100, and gives nothing to a side without a ready instance", () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.nat(1_000), fc.nat(1_000), (fromReady, toReady, toReplicas) => {
        const split = splitWeight({ fromReady, toReady, toReplicas });
        expect(Number.isInteger(split.from) && Number.isInteger(split.to)).toBe(true);
        expect(split.from + split.to).toBe(fromReady + toReady > 0 ? 100 : 0);
        if (fromReady === 0) expect(split.from).toBe(0);
        if (toReady === 0) expect(split.to).toBe(0);
      }),
      { seed: SEED, numRuns: 2_000 },
    );
  });
});
