// What a release asks of placement, and what a singleton forbids: a second instance while the first may run (invariant 4).
import { PlacementPolicy, type ReleaseSpec } from "../../contracts/release.ts";
import type { RolloutRow, Target } from "../rollout/types.ts";
import { activeRollout, appOf, type AppContext } from "./context.ts";
import type { InstanceRow } from "./types.ts";

const DEFAULT_POLICY = PlacementPolicy.parse({});

/** Specs stored by older versions have no policy. */
export const policyOf = (spec: ReleaseSpec): PlacementPolicy =>
  (spec as { placement?: PlacementPolicy }).placement ?? DEFAULT_POLICY;

type OfRelease = Pick<InstanceRow | Target, "release">;

export function singletonOf(ctx: AppContext, { release }: OfRelease): PlacementPolicy["singleton"] {
  const kept = ctx.draft.get("releases", release);
  return kept && policyOf(kept.release.spec).singleton;
}

export const isSingleton = (ctx: AppContext, of: OfRelease): boolean => singletonOf(ctx, of) !== undefined;

/** Key of a slot's row: generations of a singleton rise over releases, because its slot is the app alone. */
export const slotKey = (ctx: AppContext, of: OfRelease, ordinal: number): string =>
  isSingleton(ctx, of) ? "app/0" : `${of.release}/${ordinal}`;

/** Whether the rollout must see the old known stopped before it places the new: one of the two is a singleton. */
export function isStopFirst(ctx: AppContext, { from, to }: Pick<RolloutRow, "from" | "to">): boolean {
  if (!from || from.cohort === to.cohort) return false;
  return isSingleton(ctx, from) || isSingleton(ctx, to);
}

/**
 * Whether it runs, or may, as far as this App knows. A reservation alone runs nothing; a stop is final. One that failed is
 * asked for like any other: an agent that starts anew may try it once more while it is in its document.
 */
export function mayRun({ phase, cell, gone, observed }: InstanceRow): boolean {
  if (gone || observed?.kind === "stopped") return false;
  if (phase.kind === "placing" || phase.kind === "ended") return false;
  return phase.kind !== "stopping" || cell !== null;
}

/** The instance on a silent node that it only stands in for: it may have room, but must not start. */
export function heldFor(ctx: AppContext, { standsInFor }: InstanceRow): InstanceRow | null {
  const row = standsInFor ? ctx.draft.get("instances", standsInFor) : undefined;
  // One that was told to leave its node meanwhile is moved like any other.
  if (!row?.suspect || row.leaving) return null;
  return row.phase.kind === "running" || row.phase.kind === "committing" ? row : null;
}

/** Whoever must be known stopped, or its node lost, before an instance of the target (`self`, once it has room) may start. */
export function blockersOf(ctx: AppContext, target: OfRelease, self?: InstanceRow): InstanceRow[] {
  // A one-off instance is nobody's second: it runs beside the one that serves.
  if (self?.job) return [];
  const held = self && heldFor(ctx, self);
  const blockers: InstanceRow[] = held ? [held] : [];
  // Most apps never had a singleton, and may have a thousand instances that ask.
  if (![...ctx.draft.values("releases")].some(({ release }) => policyOf(release.spec).singleton)) return blockers;
  const alone = isSingleton(ctx, target);
  for (const row of ctx.draft.values("instances")) {
    if (row.id === self?.id || row.job || !mayRun(row)) continue;
    // Only what was marked itself is waited for on a node that does not answer.
    if (isSingleton(ctx, row) || (alone && !row.nodeGone)) blockers.push(row);
  }
  return blockers;
}

/** Whether the end of an instance must be confirmed by its node before anything follows from it. */
export function needsConfirmation(ctx: AppContext, row: InstanceRow): boolean {
  const { phase, current } = appOf(ctx);
  if (phase !== "live" || row.job || !mayRun(row)) return false;
  if (row.nodeGone) return isSingleton(ctx, row);
  const to = activeRollout(ctx)?.to;
  return [row, current, to].some((target) => target && isSingleton(ctx, target));
}
