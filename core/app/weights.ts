// Who gets which share of the traffic now, by what serves, what is coming, and which of them are ready (invariants 6 and 7).
import { instanceKey } from "../../contracts/desired.ts";
import type { ReleaseId } from "../../contracts/ids.ts";
import type { HttpPolicy, Sticky } from "../../contracts/release.ts";
import type { Endpoint, RouteRelease } from "../../contracts/route.ts";
import { stageOf } from "../rollout/stages.ts";
import { planOf, type RolloutRow, type Share, type Target } from "../rollout/types.ts";
import { apportion, percentFor } from "../rollout/weights.ts";
import { activeRollout, appOf, type AppContext } from "./context.ts";
import { isOutOfRoute } from "./health.ts";
import { isReady } from "./instances.ts";
import { comingShares, servingShares } from "./split.ts";
import type { InstanceRow } from "./types.ts";
import { isOnTrial } from "./wanted.ts";

/** What a release is to have; isNamed: it is in the route, for its own name, also where that is nothing. */
interface Wish {
  readonly target: Target;
  wanted: number;
  isNamed: boolean;
}

/** What serves first, then what comes, then what is warm. Without a ready instance nothing is named. */
export function weighedReleases(ctx: AppContext): RouteRelease[] {
  const rollout = activeRollout(ctx);
  const serving = servingShares(ctx);
  const coming = rollout ? comingShares(rollout) : [];
  const { warm } = appOf(ctx);
  const targets = [...serving, ...coming].map(({ target }) => target);
  const endpoints = endpointsOf(ctx, warm ? [...targets, warm.target] : targets, rollout);
  const wishes = wishesOf({ rollout, serving, coming, ready: ({ release }) => endpoints.get(release)?.length ?? 0 });
  if (warm && !wishes.has(warm.target.release)) {
    wishes.set(warm.target.release, { target: warm.target, wanted: 0, isNamed: true });
  }
  const list = [...wishes.values()].map((wish) => ({ ...wish, endpoints: endpoints.get(wish.target.release) ?? [] }));
  const weights = apportion(list.map((wish) => ({ wanted: wish.wanted, able: wish.endpoints.length > 0 })));
  return list.flatMap(({ target: { release, version }, isNamed, endpoints: own }, at) => {
    const weight = weights[at]!;
    const bounds = boundsOf(ctx, release);
    if (weight > 0) return [{ release, version, weight, endpoints: own, ...bounds }];
    // By its own name all of it can be reached, also what is still to be checked.
    const all = isNamed ? endpointsOf(ctx, targets, null, release).get(release) : undefined;
    const named = all ?? own;
    return isNamed && named.length > 0 ? [{ release, version, weight: 0, endpoints: named, ...bounds }] : [];
  });
}

function boundsOf(ctx: AppContext, release: ReleaseId): Pick<RouteRelease, "bodyBytesMax" | "preview"> {
  const { bodyBytesMax, preview } = httpOf(ctx, release) ?? {};
  return { ...(bodyBytesMax === undefined ? {} : { bodyBytesMax }), ...(preview === "open" ? { preview } : {}) };
}

/** Specs stored by older versions have none. */
const httpOf = (ctx: AppContext, release: ReleaseId): HttpPolicy | undefined =>
  (ctx.draft.get("releases", release)?.release.spec as { http?: HttpPolicy } | undefined)?.http;

/** As the primary asks, so that it stays while others come and go. */
export function stickyOf(ctx: AppContext): Sticky | undefined {
  const primary = appOf(ctx).current ?? activeRollout(ctx)?.to;
  return primary && httpOf(ctx, primary.release)?.sticky;
}

/** By release: what serves, less the rollout's percentage, and of that each of what comes its share. */
function wishesOf(input: {
  readonly rollout: RolloutRow | null;
  readonly serving: readonly Share[];
  readonly coming: readonly Share[];
  readonly ready: (target: Target) => number;
}): Map<ReleaseId, Wish> {
  const { rollout, serving, coming, ready } = input;
  const wishes = new Map<ReleaseId, Wish>();
  const add = (target: Target, wanted: number, isNamed: boolean): void => {
    const known = wishes.get(target.release);
    if (!known) wishes.set(target.release, { target, wanted, isNamed });
    else {
      known.wanted += wanted;
      known.isNamed ||= isNamed;
    }
  };
  const fresh = new Set(coming.map(({ target }) => target.release));
  const from = sum(serving.filter(({ target }) => !fresh.has(target.release)).map(({ target }) => ready(target)));
  const to = sum(coming.map(({ target }) => ready(target)));
  // Whoever comes and has nobody ready leaves all to those before, whatever was decided.
  const percent = rollout && to > 0 ? percentFor(rollout, { from, to: primaryReady(coming, ready) }) : 0;
  const isNamed = rollout !== null && stageOf(rollout).weight !== "ready";
  for (const { target, weight } of filled(serving, ready)) add(target, weight * (100 - percent), isNamed);
  for (const { target, weight } of filled(coming, ready)) add(target, weight * percent, isNamed);
  return wishes;
}

/** Who has nobody ready leaves its share to those beside it, not to the other side. */
function filled(shares: readonly Share[], ready: (target: Target) => number): Share[] {
  const able = sum(shares.map(({ target, weight }) => (ready(target) > 0 ? weight : 0)));
  return shares.map(({ target, weight }) => ({ target, weight: able > 0 ? (100 * weight) / able : weight }));
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
const primaryReady = ([primary]: readonly Share[], ready: (target: Target) => number): number =>
  primary ? ready(primary.target) : 0;

/**
 * Ready instances by release. A restart hands over slot by slot within one release: a route names at most one instance per slot
 * (invariant 1). What the smoke check has not passed of a rollout that has one is left out.
 */
function endpointsOf(
  ctx: AppContext,
  targets: readonly Target[],
  checkedBy: RolloutRow | null,
  only?: ReleaseId,
): Map<ReleaseId, Endpoint[]> {
  const cohorts = new Set(targets.map(({ cohort }) => cohort));
  const smoked = checkedBy !== null && planOf(checkedBy).smoke !== undefined;
  const verified = new Set(smoked ? checkedBy.verified : []);
  const slots = new Map<string, InstanceRow>();
  for (const row of ctx.draft.values("instances")) {
    if (only && row.release !== only) continue;
    if (!isReady(row) || isOutOfRoute(ctx, row) || !cohorts.has(row.cohort)) continue;
    if (smoked && isOnTrial(ctx, row) && !verified.has(keyOf(row))) continue;
    const key = `${row.release}/${row.ordinal}`;
    const known = slots.get(key);
    if (!known || known.generation < row.generation) slots.set(key, row);
  }
  const byRelease = new Map<ReleaseId, Endpoint[]>();
  for (const row of [...slots.values()].sort((a, b) => a.ordinal - b.ordinal)) {
    const list = byRelease.get(row.release) ?? [];
    list.push(...endpointOf(ctx, row));
    byRelease.set(row.release, list);
  }
  return byRelease;
}

const keyOf = ({ id, generation }: InstanceRow): string => instanceKey({ instance: id, generation });

/** The region only matters where there are several. */
export function endpointOf(ctx: AppContext, { id, generation, placement, region }: InstanceRow): Endpoint[] {
  if (!placement) return [];
  const { node, gatewayUrl } = placement;
  const where = appOf(ctx).regions.length > 1 ? { region } : {};
  return [{ instance: id, generation, node, gatewayUrl, ...where }];
}
