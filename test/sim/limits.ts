// The simulated world's limits: the real ones with shorter waits, so that minutes hold many rollouts.
import { agentLimitsFrom } from "../../core/converge/limits.ts";
import { limitsFrom, type Limits } from "../../core/limits.ts";

const SHORTER = {
  drainMs: 6_000,
  drainMinMs: 5_500,
  deadlineMs: 60_000,
  batchMs: 5_000,
  promoteWithinMs: 15_000,
  smokePatienceMs: 6_000,
  fallPatienceMs: 5_000,
  fallResetMs: 20_000,
  jobSlackMs: 4_000,
  judgeIntervalMs: 1_000,
  countEveryMs: 1_000,
  startupBudgetMs: 15_000,
  placementPatienceMs: 6_000,
  verifyTimeoutMs: 5_000,
  verifyPatienceMs: 30_000,
  reservationLeaseMs: 10_000,
  replaceBackoffMaxMs: 8_000,
  replaceResetMs: 10_000,
  moveBackoffMaxMs: 15_000,
  failedNodeMs: 20_000,
  confirmRetryMs: 10_000,
  evacuateAgainMs: 10_000,
  freezeMaxMs: 30_000,
  rebalanceMaxMs: 60_000,
  placementRetryMaxMs: 8_000,
  callRetryMaxMs: 4_000,
  outboxRetryMaxMs: 5_000,
  releasesKept: 6,
  rolloutsKept: 12,
  endedInstancesKept: 20,
  eventsKept: 100,
  messagesPendingMax: 12,
  messageBatchMax: 5,
  // An app that has left a cell comes back to one that has forgotten it.
  forgetIntervalMs: 3_000,
  linkIdleMs: 10_000,
};

/** Cells of few nodes, so that an installation of a dozen has several; a mass silence is then three of them. */
export function simLimits(nodesPerCellMax: number): Limits {
  return limitsFrom(JSON.stringify({ ...SHORTER, nodesPerCellMax, silentNodesMin: 3 }));
}

export const SIM_AGENT_LIMITS = agentLimitsFrom({
  startupBudgetMs: SHORTER.startupBudgetMs,
  restartBackoffMaxMs: 8_000,
  restartResetAfterReadyMs: 10_000,
  stoppedReportMs: 8_000,
  pollBackoffMaxMs: 8_000,
  returnHoldMs: 8_000,
  sweepMs: 5_000,
});
