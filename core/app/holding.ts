// What an app holds of its team's quota, and whether it was granted to hold more. Postgres has the sum over the team's apps.
import type { Accepted } from "../../contracts/api.ts";
import type { Grant, Holding } from "../../contracts/quota.ts";
import { holdingOf, larger, NOTHING, plus, within } from "../quota/holding.ts";
import { ok, refuse } from "../results.ts";
import type { Share, Target } from "../rollout/types.ts";
import { activeRollout, appOf, changeApp, countersOf, type AppContext } from "./context.ts";
import type { AppEvent, AppInputs, AppReplies, HoldingReport } from "./types.ts";

type Reply = AppReplies[keyof AppReplies];

/** Before the event was taken in. */
interface Before {
  readonly grant: Grant | null;
  readonly holds: Holding;
  readonly releaseVersion: number;
}

/** null: an event whose growth nobody counts. */
export function openHolding(ctx: AppContext, event: AppEvent): Before | null {
  const grant = grantOf(event);
  if (grant === undefined) return null;
  return { grant, holds: larger(...sidesOf(ctx)), releaseVersion: countersOf(ctx).releaseVersion };
}

function grantOf(event: AppEvent): Grant | null | undefined {
  switch (event.kind) {
    case "acceptRelease":
    case "rollback":
    case "scale":
    case "setTraffic":
    case "changeEnvironment":
      return event.input.grant;
    default:
      return undefined;
  }
}

/**
 * What it holds it may hold on to; for more there must be a grant that it has not known. Refused with `growth`, nothing of the event may
 * be kept. A grant that was known once counts no more: Postgres may have taken it back.
 */
export function closeHolding(ctx: AppContext, before: Before, reply: Reply): Reply {
  if (reply === null || !("ok" in reply) || !reply.ok) return reply;
  const { grant, holds, releaseVersion } = before;
  const fresh = grant !== null && grant.version > versionOf(ctx) ? grant : null;
  const needs = larger(...sidesOf(ctx));
  if (!within(needs, fresh === null ? holds : larger(holds, fresh.amounts))) {
    const message = "The app would hold more than its team was granted for it; try again.";
    return refuse("quota_exceeded", message, { growth: { needs, holds } });
  }
  if (fresh !== null) changeApp(ctx, { grantVersion: fresh.version });
  const changed = !within(holds, needs) || !within(needs, holds);
  const released = countersOf(ctx).releaseVersion > releaseVersion;
  // Of the replies of the events that openHolding knows.
  return ok({ ...(reply.value as Accepted), held: { ...report(ctx), changed, released } });
}

/** Grants up to `seen` that are still on their way count no more: what is held now is all that Postgres need keep for it. */
export function tellHolding(ctx: AppContext, { seen }: AppInputs["holding"]): HoldingReport {
  if (seen > versionOf(ctx)) changeApp(ctx, { grantVersion: seen });
  return report(ctx);
}

const versionOf = (ctx: AppContext): number => appOf(ctx).grantVersion ?? 0;

function report(ctx: AppContext): HoldingReport {
  const [to, from] = sidesOf(ctx);
  return { amounts: larger(to, from), version: versionOf(ctx), settled: within(from, to) };
}

/**
 * Where it goes, and where it goes back to if that fails: the larger of both is held. What a rollout has beside that for a while (surge,
 * drains, a warm release, commands) is bounded by the rollout's own limits and not the team's affair.
 */
function sidesOf(ctx: AppContext): [to: Holding, from: Holding] {
  const { phase, current, aside } = appOf(ctx);
  if (phase !== "live") return [NOTHING, NOTHING];
  const active = activeRollout(ctx);
  if (active === null) return [sum(ctx, current, aside), NOTHING];
  return [sum(ctx, active.to, active.toAside), sum(ctx, active.from, active.fromAside)];
}

function sum(ctx: AppContext, main: Target | null, aside: readonly Share[] = []): Holding {
  let all = NOTHING;
  for (const target of [...(main ? [main] : []), ...aside.map((share) => share.target)]) {
    const row = ctx.draft.get("releases", target.release);
    if (row) all = plus(all, holdingOf(target.replicas, row.release.spec.resources));
  }
  return all;
}
