// Starts rollouts, has core/rollout look at how they stand, and carries out what it decides.
import type { EventType } from "../../contracts/events.ts";
import type { ReleaseId, RolloutId } from "../../contracts/ids.ts";
import type { RolloutPlan } from "../../contracts/rollout-plan.ts";
import { rolloutWakeAtMs } from "../rollout/give-up.ts";
import type { VerifyResult } from "../rollout/seen.ts";
import { deadlineMsOf } from "../rollout/stages.ts";
import { begun, stepRollout, type RolloutEvent } from "../rollout/step.ts";
import { isActive, planOf, type RolloutReason, type RolloutRow, type Share, type Target } from "../rollout/types.ts";
import { activeRollout, appOf, changeApp, emit, type AppContext } from "./context.ts";
import { judgeRollout, weighAnew } from "./judging.ts";
import { recall } from "./recall.ts";
import { putRollout } from "./reconcile.ts";
import { seenBy } from "./slot-views.ts";
import { servingShares } from "./split.ts";
import type { ReleaseRow } from "./types.ts";
import { rolloutView } from "./views.ts";

export interface Start {
  readonly reason: RolloutReason;
  readonly to: Target;
  readonly toAside?: readonly Share[];
  readonly plan: RolloutPlan;
  readonly actor: string;
  readonly deadlineMs?: number;
  /** A release that had not passed its checks is wanted all the same. */
  readonly forced?: boolean;
}

/** The newest wins: what was active is superseded, and its instances go unless the new one wants them. */
export function startRollout(ctx: AppContext, start: Start): RolloutRow {
  const { reason, to, toAside, plan, actor, deadlineMs, forced } = start;
  if (activeRollout(ctx)) decide(ctx, { kind: "supersede" });
  const { current, aside } = appOf(ctx);
  const row: RolloutRow = {
    id: ctx.mint<RolloutId>("roll"),
    reason,
    from: current,
    ...(aside?.length ? { fromAside: aside } : {}),
    to,
    ...(toAside?.length ? { toAside } : {}),
    plan,
    startedAtMs: ctx.nowMs,
    deadlineAtMs: ctx.nowMs + (deadlineMs ?? deadlineMsOf(plan, to.replicas, ctx.limits)),
    ...(deadlineMs === undefined ? { deadlineByPlan: true } : {}),
    startedBy: actor,
    ...(forced ? { forced } : {}),
    shed: 0,
    revision: 1,
    paused: null,
    stage: 0,
    slots: 0,
    weight: 0,
    verified: [],
    miss: null,
    phase: { kind: "preparing", ready: 0, sinceMs: ctx.nowMs },
  };
  const started = plan.before ? row : begun(row);
  putRollout(ctx, started);
  changeApp(ctx, { rollout: row.id });
  emit(ctx, { type: "rollout.started", subject: row.id, data: { rollout: rolloutView(ctx, started) } });
  return started;
}

/** Looks at the active rollout again. Returns whether other instances are wanted now. */
export function lookAtRollout(ctx: AppContext, results: readonly VerifyResult[] | null): boolean {
  const before = activeRollout(ctx);
  if (!before) return false;
  judgeRollout(ctx, before);
  let seen = seenBy(ctx, activeRollout(ctx) ?? before);
  decide(ctx, { kind: "look", seen, results });
  const turned = activeRollout(ctx);
  if (turned && isOtherCommand(before, turned)) {
    // Its command may have run already, before the rollout went back for more instances.
    seen = seenBy(ctx, turned);
    decide(ctx, { kind: "look", seen });
  }
  const after = activeRollout(ctx);
  if (after) ctx.wakeBy(rolloutWakeAtMs(after, seen, ctx.nowMs, ctx.limits));
  return !after || after.slots !== before.slots || after.shed !== before.shed || isOtherCommand(before, after);
}

/** A command's one-off instance is wanted from now on, or no longer. */
const isOtherCommand = (before: RolloutRow, after: RolloutRow): boolean =>
  before.phase.kind !== after.phase.kind &&
  [before, after].some(({ phase }) => phase.kind === "preparing" || phase.kind === "finishing");

export function cancelActive(ctx: AppContext): void {
  if (activeRollout(ctx)) decide(ctx, { kind: "cancel" });
}

function decide(ctx: AppContext, event: RolloutEvent): void {
  const row = activeRollout(ctx);
  if (row) take(ctx, row, stepRollout(row, event, ctx.nowMs, ctx.limits));
}

/** Stores what became of the active rollout, and everything that follows from it. type: of the event, where it is not its phase's. */
export function take(ctx: AppContext, row: RolloutRow, decided: RolloutRow, told: EventType | null = null): void {
  if (decided === row) return;
  const weighed = weighAnew(ctx, row, decided);
  const type = told ?? eventTypeOf(row, weighed);
  const after = isTurn(row, weighed) || told ? { ...weighed, revision: (row.revision ?? 0) + 1 } : weighed;
  putRollout(ctx, after);
  noteChecks(ctx, row, after);
  if (!isActive(after.phase)) conclude(ctx, after);
  if (type) emit(ctx, { type, subject: row.id, data: { rollout: rolloutView(ctx, after) } });
}

const isTurn = (before: RolloutRow, after: RolloutRow): boolean =>
  before.phase.kind !== after.phase.kind || before.stage !== after.stage || before.weight !== after.weight;

/** What is known of the releases since: the command before ended well; or a check refused one that does not serve. */
function noteChecks(ctx: AppContext, before: RolloutRow, { phase, to, prepared }: RolloutRow): void {
  const change = (id: ReleaseId, known: Partial<ReleaseRow>): void => {
    const row = ctx.draft.get("releases", id);
    if (row) ctx.draft.put("releases", id, { ...row, ...known });
  };
  if (prepared && !before.prepared) change(to.release, { prepared });
  if (phase.kind !== "failed") return;
  const { failure } = phase;
  if (failure.kind !== "smoke" && failure.kind !== "analysis") return;
  const by = failure.kind;
  const refused = by === "smoke" ? ctx.draft.get("instances", failure.instance)?.release : to.release;
  const serves = servingShares(ctx).some(({ target }) => target.release === refused);
  if (refused && !serves) change(refused, { rejected: { by, message: failure.message } });
}

function conclude(ctx: AppContext, row: RolloutRow): void {
  if (row.phase.kind !== "completed") {
    changeApp(ctx, { rollout: null });
    // Of what was given up on the way, what still drains comes back at once.
    for (const { target } of servingShares(ctx)) recall(ctx, target);
    return;
  }
  const { to, toAside = [] } = row;
  changeApp(ctx, { rollout: null, current: to, aside: toAside, replicas: to.replicas, warm: warmOf(ctx, row) });
  for (const { target } of toAside) pardon(ctx, target);
  const release = pardon(ctx, to);
  if (!release || release.completed) return;
  const after = row.from?.release ?? null;
  ctx.draft.put("releases", to.release, { ...release, completed: true, after });
}

/** In service, whatever was held against it. */
function pardon(ctx: AppContext, { release }: Target): ReleaseRow | undefined {
  const row = ctx.draft.get("releases", release);
  if (!row?.rejected) return row;
  const pardoned = { ...row, rejected: null };
  ctx.draft.put("releases", release, pardoned);
  return pardoned;
}

/** What a green replaced stays for a while; what was warm already, until its own time, unless it serves again. */
function warmOf(ctx: AppContext, row: RolloutRow): { target: Target; untilMs: number } | null {
  const { strategy } = planOf(row);
  const { warm } = appOf(ctx);
  const { from, to, toAside = [] } = row;
  const untilMs = strategy.kind === "blue_green" ? (row.switchedAtMs ?? ctx.nowMs) + strategy.warmMs : 0;
  if (from && from.release !== to.release && row.reason !== "traffic" && untilMs > ctx.nowMs) {
    return { target: from, untilMs };
  }
  const serves = [to, ...toAside.map(({ target }) => target)].some(({ release }) => release === warm?.target.release);
  return warm && !serves && from?.release === to.release ? warm : null;
}

function eventTypeOf(before: RolloutRow, after: RolloutRow): EventType | null {
  const { kind, ready } = after.phase;
  const isNew = before.phase.kind !== kind || before.stage !== after.stage;
  switch (kind) {
    case "preparing":
      return null;
    case "rolling":
    case "finishing":
      return isNew || before.phase.ready !== ready ? "rollout.progressed" : null;
    case "verifying":
      return isNew ? "rollout.verifying" : null;
    case "holding":
      return isNew ? "rollout.held" : null;
    default:
      return `rollout.${kind}`;
  }
}
