// core/rollout: who did not answer the verifier, and how that ends a rollout.
import { expect, it } from "vitest";
import type { InstanceId, ReleaseId, RolloutId } from "../../contracts/ids.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { SlotView } from "../../core/rollout/slots.ts";
import { stepRollout, type RolloutEvent } from "../../core/rollout/step.ts";
import type { RolloutRow } from "../../core/rollout/types.ts";

const instance = "ins_1" as InstanceId;
const second: SlotView = { kind: "ready", instance, generation: 2, node: null };
const verifying: RolloutRow = {
  id: "roll_x" as RolloutId,
  reason: "release",
  from: null,
  to: { release: "rel_x" as ReleaseId, version: 2, replicas: 1, cohort: "c" },
  startedAtMs: 0,
  deadlineAtMs: DEFAULT_LIMITS.deadlineMs,
  startedBy: "user:x",
  shed: 0,
  phase: { kind: "verifying", ready: 1, sinceMs: 0 },
};

it("hears of an instance that the route does not name, whatever generation that was said with, and loses its patience", () => {
  const results = [{ instance, generation: 1, ok: false, message: "the route does not name it" }];
  const look: RolloutEvent = { kind: "look", seen: { slots: [second] }, results };
  const heard = stepRollout(verifying, look, 5, DEFAULT_LIMITS);
  expect(heard).toMatchObject({ miss: { instance, message: "the route does not name it", sinceMs: 5 } });
  const over = stepRollout(heard, { ...look, results: [] }, 5 + DEFAULT_LIMITS.verifyPatienceMs, DEFAULT_LIMITS);
  expect(over.phase).toMatchObject({ kind: "failed", failure: { kind: "verification", instance } });
});

it("does not take an answer of another generation for this one's", () => {
  const results = [{ instance, generation: 1, ok: true, message: "" }];
  const look: RolloutEvent = { kind: "look", seen: { slots: [second] }, results };
  expect(stepRollout(verifying, look, 5, DEFAULT_LIMITS)).toMatchObject({ verified: [], phase: { kind: "verifying" } });
});
