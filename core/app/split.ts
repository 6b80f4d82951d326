// What serves and what is to serve, as shares of the traffic: the primary, and what is beside it.
import type { RolloutRow, Share, Target } from "../rollout/types.ts";
import { activeRollout, appOf, type AppContext } from "./context.ts";

/** The primary first, with what the others leave of 100. */
export function sharesOf(primary: Target | null, aside: readonly Share[] = []): readonly Share[] {
  if (!primary) return [];
  const rest = aside.reduce((sum, { weight }) => sum + weight, 0);
  return [{ target: primary, weight: 100 - rest }, ...aside];
}

export function servingShares(ctx: AppContext): readonly Share[] {
  const { current, aside } = appOf(ctx);
  return sharesOf(current, aside);
}

/** What the rollout brings; while its command before it runs, nothing yet. */
export function comingShares({ phase, to, toAside }: RolloutRow): readonly Share[] {
  return phase.kind === "preparing" ? [] : sharesOf(to, toAside);
}

/** All that the app runs, or is about to: what serves, what comes, what is kept warm. */
export function targetsOf(ctx: AppContext): readonly Target[] {
  const rollout = activeRollout(ctx);
  const { warm } = appOf(ctx);
  const shares = [...servingShares(ctx), ...(rollout ? sharesOf(rollout.to, rollout.toAside) : [])];
  return [...shares.map(({ target }) => target), ...(warm ? [warm.target] : [])];
}

/** The same size for every share: in proportion, at least one where it has weight. */
export const asideReplicas = (weight: number, replicas: number): number =>
  replicas === 0 ? 0 : Math.max(1, Math.ceil((replicas * weight) / 100));
