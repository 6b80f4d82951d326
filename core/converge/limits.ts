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
  /** A new agent that has no acknowledged heartbeat by then makes way for the one before: thirty beats, and a slow boot. */
  agentTrialMs: 60_000,
  /** Room that must be left on the disk beside a new agent's bundle. */
  agentDiskSlackBytes: 64 * 1024 * 1024,
  /** A download of which the bytes are not the manifest's is tried so often. */
  agentFetchTriesMax: 3,
  /** A gateway that could not be handed over is asked again this seldom. */
  handOverRetryMs: 60_000,
  /** A strict singleton ends this long after the last heartbeat that a lease row acknowledged was sent; its replacement starts after 30 s. */
  strictStopMs: 25_000,
  /** From SIGTERM to SIGKILL then: the rest of the 30 s is for a machine under load. */
  strictGraceMs: 1_500,
  /** A living agent that has not stopped it by then is taken for hung: the watchdog does it. */
  strictHungMs: 2_500,
  /** The watchdog looks this often. */
  strictWatchMs: 250,
  /**
   * Once the control plane has said that this node was removed, and says so still. Singletons: a second word, some beats after
   * the first; their successors start meanwhile. The rest: long enough to take back a mistake, and for copies of routes to age.
   */
  removedSingletonStopMs: 10_000,
  removedStopMs: 300_000,
  /** From then on it only asks whether that still holds. */
  removedBeatMs: 30_000,
  /** An Engine that has not said what runs here by then is not waited for with the first heartbeat. */
  engineAnswerMs: 1_000,
  /** Changes that come together (an instance and its log tail) leave in one heartbeat. */
  heartbeatCoalesceMs: 5,
  /** The Worker holds a poll for 25 s; what takes longer than this is lost. */
  pollTimeoutMs: 35_000,
  /** Full jitter between these after a failed poll: 2,000 agents that come back at once arrive spread out. */
  pollBackoffMinMs: 1_000,
  pollBackoffMaxMs: 30_000,
  /** An upgrade to a WebSocket that has not come about by then is given up: late, because nobody waits for it, and one broken off was in vain. */
  socketOpenMs: 15_000,
  /** A socket that is silent while HTTP is too is kept this long: where the control plane has too much to do, new ones make it worse. */
  socketDoubtMaxMs: 60_000,
  /**
   * Full jitter between the first two after a socket that ended or did not come about, doubled each time: 2,000 agents whose
   * sockets end together open 250 a second at most. A proxy that never lets one through is asked every few minutes.
   */
  socketRetryMinMs: 1_000,
  socketRetryMs: 8_000,
  socketRetryMaxMs: 300_000,
  /** After a socket's end polls begin between this and twice as long: until then the next one is likelier, and heartbeats name what is new. */
  pollAsideMs: 20_000,
  /** A socket that lived this long was a good one: the next pause is a short one again. */
  socketSteadyMs: 60_000,
  /** Longer messages go over HTTP: proxies and control planes of one's own may take no more than 1 MiB at once. */
  socketMessageBytesMax: 1_000_000,
  /** A control plane that refused this agent's protocol, and took the one before, is asked again in its own this seldom. */
  protocolAgainMs: 300_000,
  /** Asks (environment, bundle, credential) wait for a start; so they are retried faster, and capped lower. */
  askTimeoutMs: 10_000,
  /** How long a rotation of the ticket key waits for a node at most; of 10,000 nodes, 33 ask in a second. */
  keysEveryMs: 300_000,
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
  /**
   * What a container prints the Engine handles outside of the container's limits: at full speed it takes most of a core. So much at once
   * (some seconds of that), and so much for ever (a few percent of a core); what prints more is ended. Busy servers print a hundredth.
   */
  logBurstBytesMax: 32 * 1024 * 1024,
  logBytesPerSecondMax: 1024 * 1024,
  /**
   * How often the kernel may end processes of a container for want of memory before the container itself is ended: a pool that loses
   * a worker goes on, a program that fills and loses its memory all the time costs its neighbours more than its limits say.
   */
  memoryKillsMax: 3,
  memoryKillsPerMinuteMax: 1,
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
  /** A certificate is renewed at this share of its life, or earlier by up to the jitter: the rest is for an ACME server that is away. */
  certificateRenewPercent: 66,
  certificateJitterPercent: 5,
  /** With this share left somebody must hear of it: of 90 days, the last three weeks; renewals have failed for over a week by then. */
  certificateAlarmPercent: 25,
  /** The files of a given certificate are looked at this often, and what of a certificate's life is over. */
  certificateLookMs: 2_000,
  /** From the TXT record's being set to the ACME server's look: a zone's servers have it within seconds. */
  acmeSettleMs: 10_000,
  /** An order that has come to nothing by then has failed. */
  acmeTimeoutMs: 180_000,
  /** After a failed order, full jitter: Let's Encrypt takes five failures of a name an hour. */
  acmeBackoffMinMs: 60_000,
  acmeBackoffMaxMs: 3_600_000,
  /** This host's addresses are looked at this often; the name is asked for again when they change, and once a day. */
  addressLookMs: 15_000,
  nameRefreshMs: 86_400_000,
  /** Full jitter after a failed ask for the name, whose answer waits on a provider of DNS. */
  nameBackoffMinMs: 1_000,
  nameBackoffMaxMs: 300_000,
  /** A hostname whose challenge is not delegated yet fails like any other: its owner may take days. Let's Encrypt takes five an hour. */
  ingressOrderMinMs: 900_000,
  ingressOrderMaxMs: 86_400_000,
  /** A newer snapshot of the region is asked for this often. It is what serves when nothing else answers, so old by that much. */
  snapshotMs: 30_000,
  snapshotTimeoutMs: 20_000,
  /** Whether the way to a node that is reached through others stands; what stands is told at once, what does not after the grace. */
  reachLookMs: 500,
  reachGraceMs: 3_000,
  /** Through whom is it reached? Asked at each change, and this often: a relay may be about to leave. */
  relayAskMs: 15_000,
  /** Grants are good for a day: those on the disk are never older than this while there is a control plane. */
  relayGrantRefreshMs: 3_600_000,
  /** The rules between tenants are looked at this often, beside what a watch hears of: what a firewall's reload took away is back within it. */
  firewallLookMs: 2_000,
  /** Connections of one container that are open or just over: a crawler has hundreds, and a node's table holds 65,536 or more. */
  egressConnectionsMax: 4_096,
  /** New connections a second of one container, twice as many at once: what opens more is scanning, or flooding. */
  egressNewPerSecondMax: 500,
  /** What a container may read or write of the node's disk: half of what a plain SSD does, so that neighbours have the other. */
  ioBytesPerSecondMax: 256 * 1024 * 1024,
  ioOperationsPerSecondMax: 10_000,
  /** How much instances wrote is looked at this often, where the Engine's storage does not limit it. */
  writtenLookMs: 10_000,
  /** A wall clock that is further off makes others' certificates look not yet valid, or expired. */
  clockWrongMs: 60_000,
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
