// Limits of the node agent, each with its reason. A tuning (tests, local stacks) may replace any of them.

export const AGENT_LIMITS = {
  /** The beat of a node; the lease outlives four of them, so that one lost answer changes nothing. */
  heartbeatMs: 2_000,
  /** Spread over beats so that nodes which booted together do not beat together. */
  heartbeatJitterMs: 200,
  /** Less than the beat, so that a lost answer is retried within it. */
  heartbeatTimeoutMs: 1_500,
  /**
   * A beat that was not answered by its time-out is still good for its answer until here, beside those that follow: a control
   * plane that is late is not helped by requests that are broken off and made again. Three beats, and less than a lease.
   */
  heartbeatGiveUpMs: 6_000,
  /** A lease ends this long after the last acknowledged beat (core/limits.ts, leaseTtlMs): until then nothing was replaced elsewhere. */
  leaseMs: 8_000,
  /** After its start the agent waits this long for one answer before it acts on the document it has: a beat's time-out, and slack. */
  firstAnswerMs: 2_000,
  /** What a returning node starts gets no traffic before an answer, or for this long: routes from before it left are in KV for 60 s at most. */
  returnHoldMs: 65_000,
  /** A strict singleton ends this long after the last heartbeat that a lease row acknowledged was sent; its replacement starts after 30 s. */
  strictStopMs: 25_000,
  /** From SIGTERM to SIGKILL then: the rest of the 30 s is for a machine under load. */
  strictGraceMs: 1_500,
  /** A living agent that has not stopped it by then is taken for hung: the watchdog does it. */
  strictHungMs: 2_500,
  /** The watchdog looks this often. */
  strictWatchMs: 250,
  /** Changes that come together (an instance and its log tail) leave in one heartbeat. */
  heartbeatCoalesceMs: 5,
  /** The Worker holds a poll for 25 s; what takes longer than this is lost. */
  pollTimeoutMs: 35_000,
  /** Full jitter between these after a failed poll: 2,000 agents that come back at once arrive spread out. */
  pollBackoffMinMs: 1_000,
  pollBackoffMaxMs: 30_000,
  /** Asks (environment, bundle, credential) wait for a start; so they are retried faster, and capped lower. */
  askTimeoutMs: 10_000,
  askBackoffMinMs: 200,
  askBackoffMaxMs: 5_000,
  /** The first restart is at once; then this, doubled each time up to the maximum. */
  restartBackoffMinMs: 1_000,
  restartBackoffMaxMs: 300_000,
  /** An instance that ran ready for this long is well again: its next crash counts as the first. */
  restartResetAfterReadyMs: 60_000,
  /**
   * From the start of an instance without a startup probe to its first readiness. The control plane counts as long; the
   * agent speaks at startupBudgetShare of it, so that its report, which has the log lines, comes first.
   */
  startupBudgetMs: 120_000,
  startupBudgetShare: 0.9,
  /** The first readiness probes: at once, then this, growing by half up to the probe's own period. */
  probeFirstMs: 10,
  /**
   * An instance is on this very node: it accepts within a millisecond or not at all. A first packet that was lost while its
   * network was only coming up would be sent again after a second; until it is ready it is asked anew instead.
   */
  probeConnectMs: 200,
  /** A stopped instance is reported for this long after its stop, so that a lost heartbeat does not hide its end. */
  stoppedReportMs: 30_000,
  /** Generations remembered for instances that are no longer in the document. Each is about 60 bytes on disk. */
  fencesMax: 20_000,
  /** Starts under way at once: the Engine makes about 13 containers a second; more at once only queue inside it. */
  startsAtOnceMax: 16,
  /** Usage is sampled this often: the resolution of metered cpu and memory. */
  sampleMs: 10_000,
  /** Resident memory of a process tree is looked at this often; the process runtime has no kernel limit to lean on. */
  memoryWatchMs: 500,
  /** One metering row per node in this time. */
  meteringMs: 300_000,
  /** A week of rows, should the control plane be away for as long. */
  meteringRowsMax: 2_016,
  /** What one heartbeat may carry of them (contracts/agent-protocol.ts). */
  meteringRowsPerBeatMax: 12,
  /** Log bytes per file and instance; one rotated file is kept beside the current one. */
  logFileBytesMax: 4 * 1024 * 1024,
  /** A longer line is cut: one line may not fill a reader's memory. */
  logLineBytesMax: 16 * 1024,
  /** A failure carries this many of the last lines. */
  logTailLines: 20,
  /** A dead gateway is noticed by its exit when it is our child; an adopted one is looked at this often. */
  gatewayWatchMs: 500,
  /** Failure messages and log lines inside them (contracts/failures.ts). */
  failureTextMax: 2_000,
  /** What runs here is listed this often, for ends that no event told of, and for what nobody assigned. */
  sweepMs: 30_000,
  /** How full the disks are is looked at this often; a pull that fills a disk is stopped within it. */
  diskLookMs: 5_000,
  /** Above it nothing is pulled: containers that write need the rest. It ends this much lower, so that it does not flap. */
  diskPressurePercent: 85,
  diskPressureSlackPercent: 3,
  /** A start that a full disk refused is tried again this often. */
  diskRetryMs: 10_000,
  /** Above the first, unused images and bundles go, oldest use first, until the disk is below the second. */
  diskCleanPercent: 70,
  diskCleanToPercent: 60,
  /** What was used this recently stays: a release that is being rolled out has its instances placed one after the other. */
  imageUnusedMinMs: 60_000,
  /** What a heartbeat may carry of them (contracts/agent-protocol.ts). */
  imagesReportedMax: 200,
  /** An address of a container that is gone stays unused for this long: no request that was meant for one may reach another. */
  addressQuarantineMs: 120_000,
  /** An image pull without any progress for this long has stalled. */
  pullStallMs: 120_000,
  /** Bundles are at most 100 MB packed; unpacked they may not fill the node's disk. */
  bundleUnpackedBytesMax: 1024 * 1024 * 1024,
  bundleFilesMax: 100_000,
} as const;

export type AgentLimits = { readonly [Name in keyof typeof AGENT_LIMITS]: number };

/** Numbers of `tuning` replace those of the same name; other names are for other parts of Berth and are passed over. */
export function agentLimitsFrom(tuning: Readonly<Record<string, unknown>>): AgentLimits {
  const limits: Record<string, number> = { ...AGENT_LIMITS };
  for (const name of Object.keys(AGENT_LIMITS)) {
    const value = tuning[name];
    if (typeof value === "number" && Number.isFinite(value) && value >= 0) limits[name] = value;
  }
  return limits as AgentLimits;
}
