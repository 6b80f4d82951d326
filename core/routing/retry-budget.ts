// How much of an isolate's traffic to one app may be repetitions: a failing app must not get a multiple of its load on top.
import type { RoutingLimits } from "./limits.ts";

/** tokens: repetitions that may still be made, as of atMs. */
export interface RetryBudget {
  readonly tokens: number;
  readonly atMs: number;
}

type Limits = Pick<RoutingLimits, "retryShare" | "retriesPerSecondMin" | "retryBurstMax">;

/** What a quiet app starts with. */
export const newBudget = (nowMs: number, limits: Limits): RetryBudget => ({
  tokens: limits.retryBurstMax,
  atMs: nowMs,
});

/**
 * Whether one more repetition is allowed, and what is left then. requests: first attempts since the last call, each of which earned
 * retryShare of a repetition; beside them retriesPerSecondMin come by themselves. At most retryBurstMax are kept.
 */
export function spend(
  { tokens, atMs }: RetryBudget,
  requests: number,
  nowMs: number,
  limits: Limits,
): { readonly allowed: boolean; readonly budget: RetryBudget } {
  const bySelf = (Math.max(0, nowMs - atMs) * limits.retriesPerSecondMin) / 1_000;
  const kept = Math.min(limits.retryBurstMax, tokens + requests * limits.retryShare + bySelf);
  const allowed = kept >= 1;
  return { allowed, budget: { tokens: allowed ? kept - 1 : kept, atMs: nowMs } };
}
