// Starts rollouts, shows them how their slots stand, and carries out what core/rollout decides.
import type { EventType } from "../../contracts/events.ts";
import type { InstanceFailure } from "../../contracts/failures.ts";
import type { RolloutId } from "../../contracts/ids.ts";
import {
  isActive,
  rolloutWakeAtMs,
  stepRollout,
  type RolloutEvent,
  type SlotView,
  type VerifyResult,
} from "../rollout/step.ts";
import type { RolloutPhase, RolloutReason, RolloutRow, Target } from "../rollout/types.ts";
import { activeRollout, appOf, changeApp, emit, type AppContext } from "./context.ts";
import { blockersOf } from "./policy.ts";
import { isRoomComing, meantInSlots, putRollout } from "./reconcile.ts";
import type { InstanceRow } from "./types.ts";
import { rolloutView } from "./views.ts";

/** The newest wins: what was active is superseded, and its instances go unless the new one wants them. */
export function startRollout(
  ctx: AppContext,
  plan: { reason: RolloutReason; to: Target; actor: string; deadlineMs?: number },
): RolloutRow {
  if (activeRollout(ctx)) decide(ctx, { kind: "supersede" });
  const row: RolloutRow = {
    id: ctx.mint<RolloutId>("roll"),
    reason: plan.reason,
    from: appOf(ctx).current,
    to: plan.to,
    startedAtMs: ctx.nowMs,
    deadlineAtMs: ctx.nowMs + (plan.deadlineMs ?? ctx.limits.deadlineMs),
    startedBy: plan.actor,
    shed: 0,
    phase: { kind: "rolling", ready: 0, waitingFor: null },
  };
  putRollout(ctx, row);
  changeApp(ctx, { rollout: row.id });
  emit(ctx, { type: "rollout.started", subject: row.id, data: { rollout: rolloutView(ctx, row) } });
  return row;
}

/** Looks at the active rollout again. Returns whether it ended. */
export function lookAtRollout(ctx: AppContext, results: readonly VerifyResult[] | null): boolean {
  const rollout = activeRollout(ctx);
  if (!rollout) return false;
  const slots = slotViews(ctx, rollout.to);
  const ended = decide(ctx, results ? { kind: "verified", slots, results } : { kind: "look", slots });
  const after = activeRollout(ctx);
  if (after) ctx.wakeBy(rolloutWakeAtMs(after, slots, ctx.limits));
  return ended;
}

export function cancelActive(ctx: AppContext): void {
  if (activeRollout(ctx)) decide(ctx, { kind: "cancel" });
}

function decide(ctx: AppContext, event: RolloutEvent): boolean {
  const row = activeRollout(ctx);
  if (!row) return false;
  const phase = stepRollout(row, event, ctx.nowMs, ctx.limits);
  if (phase === row.phase) return false;
  const after = { ...row, phase };
  putRollout(ctx, after);
  if (!isActive(phase)) conclude(ctx, after);
  const type = eventTypeOf(row.phase, phase);
  if (type) emit(ctx, { type, subject: row.id, data: { rollout: rolloutView(ctx, after) } });
  return !isActive(phase);
}

function conclude(ctx: AppContext, row: RolloutRow): void {
  if (row.phase.kind !== "completed") {
    changeApp(ctx, { rollout: null });
    return;
  }
  changeApp(ctx, { rollout: null, current: row.to, replicas: row.to.replicas });
  const release = ctx.draft.get("releases", row.to.release);
  if (release && !release.completed) ctx.draft.put("releases", row.to.release, { ...release, completed: true });
}

function eventTypeOf(before: RolloutPhase, after: RolloutPhase): EventType | null {
  switch (after.kind) {
    case "rolling":
      return before.kind !== "rolling" || before.ready !== after.ready ? "rollout.progressed" : null;
    case "verifying":
      return before.kind === "verifying" ? null : "rollout.verifying";
    default:
      return `rollout.${after.kind}`;
  }
}

function slotViews(ctx: AppContext, to: Target): SlotView[] {
  const roomComing = isRoomComing(ctx);
  const waitsForOld = blockersOf(ctx, to).length > 0;
  return meantInSlots(ctx, to).map((row) => (row ? slotView(row, roomComing) : { kind: "missing", waitsForOld }));
}

const STOPPED: InstanceFailure = {
  code: "exited",
  message: "The node stopped it for good.",
  exitCode: null,
  signal: null,
  logTail: [],
};

function slotView(row: InstanceRow, roomComing: boolean): SlotView {
  const { phase, observed } = row;
  if (phase.kind === "placing") {
    return { kind: "placing", refusal: phase.refusal, refusedSinceMs: phase.refusedSinceMs, roomComing };
  }
  const placed = { instance: row.id, generation: row.generation, node: row.placement?.node ?? null };
  if (phase.kind !== "running" || !observed)
    return { kind: "starting", status: "placing", startedAtMs: null, ...placed };
  switch (observed.kind) {
    case "ready":
      return { kind: "ready", ...placed };
    case "failed":
      return { kind: "failed", failure: observed.failure, ...placed };
    case "stopped":
      return { kind: "failed", failure: row.failure ?? STOPPED, ...placed };
    case "backoff":
      return {
        kind: "crashing",
        crashes: row.crashes,
        everReady: row.readyAtMs !== null,
        failure: observed.failure,
        ...placed,
      };
    default: {
      const startedAtMs = row.readyAtMs === null ? row.startedAtMs : null;
      return { kind: "starting", status: observed.kind, startedAtMs, ...placed };
    }
  }
}
