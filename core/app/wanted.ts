// Which slots are wanted now: of what serves, of what is coming, and of what is kept warm; and which of the old are given up.
import type { REFUSAL_CONSTRAINTS } from "../../contracts/failures.ts";
import type { RolloutRow, Target } from "../rollout/types.ts";
import { planOf } from "../rollout/types.ts";
import { activeRollout, appOf, changeApp, type AppContext } from "./context.ts";
import { isMeant, isReady } from "./instances.ts";
import { heldFor, isStopFirst } from "./policy.ts";
import { comingShares, servingShares } from "./split.ts";
import type { InstanceRow } from "./types.ts";

/** A target and its slots that are wanted now: those below `slots` but for the ones that were given up. isWarm: what is gone is not replaced. */
export interface Wanted {
  readonly target: Target;
  readonly slots: number;
  readonly givenUp: ReadonlySet<number>;
  readonly isWarm?: boolean;
}
const NONE: ReadonlySet<number> = new Set();
export const has = ({ slots, givenUp }: Wanted, ordinal: number): boolean => ordinal < slots && !givenUp.has(ordinal);

/** What runs already and goes on in another size is one cohort: the larger of its two sizes until the rollout has ended. */
export function wantedOf(ctx: AppContext): Wanted[] {
  const { phase, current, warm } = appOf(ctx);
  if (phase !== "live") return [];
  const rollout = activeRollout(ctx);
  const coming = rollout ? comingShares(rollout) : [];
  const homes = new Map<string, Wanted>();
  if (!rollout || coming.length === 0 || !isStopFirst(ctx, rollout)) {
    for (const { target } of servingShares(ctx)) {
      const isGoing = rollout !== null && target === current && target.cohort !== rollout.to.cohort;
      const givenUp = isGoing ? givenUpFor(ctx, rollout, target) : NONE;
      homes.set(target.cohort, { target, slots: target.replicas, givenUp });
    }
  }
  for (const { target } of coming) {
    const slots = target === rollout?.to ? (rollout.slots ?? target.replicas) : target.replicas;
    const known = homes.get(target.cohort);
    homes.set(target.cohort, { target, slots: Math.max(known?.slots ?? 0, slots), givenUp: NONE });
  }
  if (warm && !homes.has(warm.target.cohort)) {
    homes.set(warm.target.cohort, { target: warm.target, slots: warm.target.replicas, givenUp: NONE, isWarm: true });
  }
  return [...homes.values()];
}

/** Whether the rollout answers for the instance: its failure is the rollout's, nobody replaces it. */
export function isOnTrial(ctx: AppContext, row: InstanceRow): boolean {
  const rollout = activeRollout(ctx);
  if (!rollout || !comingShares(rollout).some(({ target }) => target.cohort === row.cohort)) return false;
  const old = servingShares(ctx).find(({ target }) => target.cohort === row.cohort);
  return !old || row.ordinal >= old.target.replicas;
}

/** What is warm ends with its time. */
export function coolDown(ctx: AppContext): void {
  const { warm } = appOf(ctx);
  if (!warm) return;
  if (warm.untilMs <= ctx.nowMs) changeApp(ctx, { warm: null });
  else ctx.wakeBy(warm.untilMs);
}

/** What another instance of the app may take, and give back. A label, a cordon or another app's nearness it cannot. */
const OF_ROOM: ReadonlySet<(typeof REFUSAL_CONSTRAINTS)[number]> = new Set([
  "cpu",
  "memory",
  "disk",
  "pids",
  "ports",
  "nodes",
  "failure_domains",
  "cell_full",
]);

/**
 * Where a rollout finds no room for all of its instances, what is kept warm goes; then each one that is ready lets one of the old go
 * early: the ready count stays at what it was (invariant 11), and the room of the old comes to the rest of the new. Where the old
 * must stay whole until the switch, it does.
 */
export function shedForRoom(ctx: AppContext): void {
  const rollout = activeRollout(ctx);
  const { current, warm } = appOf(ctx);
  if (!rollout || !current || rollout.to.cohort === current.cohort) return;
  const ready = new Set<number>();
  const refused = new Set<number>();
  for (const row of ctx.draft.values("instances")) {
    if (row.cohort !== rollout.to.cohort) continue;
    if (isReady(row)) ready.add(row.ordinal);
    if (row.phase.kind !== "placing" || row.phase.refusedSinceMs === null || heldFor(ctx, row)) continue;
    // No room of the old would help: the rollout fails, and the old are needed.
    if (row.phase.refusal?.impossible) return;
    if (row.phase.refusal?.constraints.some(({ constraint }) => OF_ROOM.has(constraint))) refused.add(row.ordinal);
  }
  // The replacement of one that is ready, but has to leave its node, waits for room like any other move.
  for (const ordinal of ready) refused.delete(ordinal);
  if (refused.size === 0) return;
  if (warm) changeApp(ctx, { warm: null });
  const { kind } = planOf(rollout).strategy;
  const shed = Math.min(ready.size, current.replicas);
  if ((kind === "rolling" || kind === "immediate") && shed > rollout.shed) {
    ctx.draft.put("rollouts", rollout.id, { ...rollout, shed });
  }
}

/**
 * Which slots of the old these are: what is empty anyway, then what does not serve, then those whose replacement serves (of one
 * release a route names the newer instance of a slot alone, so that the older one of it serves nobody), then the last.
 */
function givenUpFor(ctx: AppContext, { shed, to }: RolloutRow, current: Target): ReadonlySet<number> {
  if (shed === 0) return NONE;
  const filled = new Set<number>();
  const serving = new Set<number>();
  const handedOver = new Set<number>();
  for (const row of ctx.draft.values("instances")) {
    if (row.cohort === current.cohort && isMeant(row)) filled.add(row.ordinal);
    if (row.cohort === current.cohort && isReady(row)) serving.add(row.ordinal);
    if (row.cohort === to.cohort && isReady(row)) handedOver.add(row.ordinal);
  }
  const worth = (ordinal: number): number =>
    (filled.has(ordinal) ? 4 : 0) + (serving.has(ordinal) ? 2 : 0) - (handedOver.has(ordinal) ? 1 : 0);
  const ordinals = Array.from({ length: current.replicas }, (_, ordinal) => ordinal);
  return new Set(ordinals.sort((a, b) => worth(a) - worth(b) || b - a).slice(0, shed));
}

/** Short where its room is waited for, else long. */
export function drainMsOf(ctx: AppContext, row: InstanceRow): number {
  const rollout = activeRollout(ctx);
  const shedding = rollout !== null && rollout.shed > (rollout.shedByPlan ?? 0) && row.cohort !== rollout.to.cohort;
  return shedding ? Math.min(ctx.limits.drainMinMs, ctx.limits.drainMs) : ctx.limits.drainMs;
}
