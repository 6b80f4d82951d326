// What a team is told that has no quota left: which one, how much of it is used, and what to do.
import type { Failure } from "../../../contracts/failures.ts";
import { spend } from "../../../core/quota/spend.ts";
import { OutOfQuota, type QuotaFacts } from "../../../db/queries/quota-sql.ts";
import { ApiFailure } from "../http/problem.ts";

const DAY_MS = 86_400_000;
export const dayEndsAtMs = (nowMs: number): number => (Math.floor(nowMs / DAY_MS) + 1) * DAY_MS;

export function outOfQuota({ plan: name, limits, used, asked }: QuotaFacts, nowMs = Date.now()): Failure {
  const spending = spend({ name, limits }, used, asked);
  if (spending.kind === "allowed") throw new Error(`the plan ${name} was judged in two ways`);
  const { message, refusal } = spending;
  const failure = { code: "quota_exceeded", message, quota: refusal } as const;
  const isOverByDay = refusal.quota === "releasesPerDay" && refusal.limit > 0;
  return isOverByDay ? { ...failure, retryAfterMs: dayEndsAtMs(nowMs) - nowMs } : failure;
}

/** Runs what spends in a transaction of its own. */
export async function withinQuota<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof OutOfQuota) throw new ApiFailure(outOfQuota(error.facts));
    throw error;
  }
}
