// The simulated world's limits: the real ones with shorter waits, so that minutes hold many rollouts.
import { limitsFrom } from "../../core/limits.ts";

export const SIM_LIMITS = limitsFrom(
  JSON.stringify({
    drainMs: 6_000,
    drainMinMs: 2_000,
    deadlineMs: 60_000,
    startupBudgetMs: 15_000,
    placementPatienceMs: 6_000,
    verifyTimeoutMs: 5_000,
    verifyPatienceMs: 30_000,
    reservationLeaseMs: 10_000,
    replaceBackoffMaxMs: 8_000,
    callRetryMaxMs: 4_000,
    outboxRetryMaxMs: 5_000,
    releasesKept: 6,
    rolloutsKept: 12,
    endedInstancesKept: 20,
    eventsKept: 100,
    messagesPendingMax: 12,
    messageBatchMax: 5,
  }),
);
