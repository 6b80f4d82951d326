// Every limit of the deciding core, with its reason. Tests and local stacks override them by name (TUNING, BERTH_TUNING).

export const DEFAULT_LIMITS = {
  /** A drained instance serves on while KV copies of an older route may be in use: they are at most 60 s stale, plus slack. */
  drainMs: 90_000,
  /** The shortest drain, when its room is needed: isolates refresh within 5 s and requests get 25 s to end. */
  drainMinMs: 30_000,
  /** A node is believed in this long after its last heartbeat: four missed beats of 2 s. */
  leaseTtlMs: 8_000,
  /** Silence after which the gateway is asked for a second opinion: leaves two probes of 1 s before the lease ends. */
  suspectMs: 5_000,
  /** How late a Cell's own alarm may be before it distrusts its clock and starts its windows anew. */
  ownLagMs: 1_000,
  /** A second opinion that has not come back by then is asked for again. */
  probeTimeoutMs: 1_500,
  /** Rescheduling freezes when this many nodes and this share of a cell fall silent within silenceWindowMs: it is us. */
  silentNodesMin: 5,
  silentSharePercent: 30,
  silenceWindowMs: 60_000,
  /** A freeze ends by then: who has still not come back, and whose gateway does not answer, is given up after all. */
  freezeMaxMs: 600_000,
  /** While frozen it is us who has too much to do: gateways that answered are asked again this seldom. */
  frozenProbeMs: 30_000,
  /** A rollout ends by then, whatever happens; customers may set it per release. */
  deadlineMs: 600_000,
  /** Each batch and step beyond the first adds as much to it: its instances are pulled, started and asked, one batch after the other. */
  batchMs: 60_000,
  /** What is held until promoted adds as much to a rollout's deadline: an operator may sleep on it. */
  promoteWithinMs: 86_400_000,
  /** A smoke check that fails is repeated every verifyRetryMs; an app that still warms up gets this long. */
  smokePatienceMs: 10_000,
  /** One that crashed is started again at once by its node, and an app is mostly ready within seconds of that. */
  fallPatienceMs: 20_000,
  /** The second crash within so long of the first is no accident; Kubernetes forgets crashes after ten minutes, too. */
  fallResetMs: 600_000,
  /** The agent ends a one-off instance at its time-out; past that and this much more it is given up on. */
  jobSlackMs: 30_000,
  /** While a rollout is judged it is looked at this often, also where nothing is counted. */
  judgeIntervalMs: 2_000,
  /** From the first start to the first readiness of one instance. */
  startupBudgetMs: 120_000,
  /** Crashes of one never-ready instance after which its rollout fails. */
  crashesMax: 3,
  /** How long a rollout waits for room before it fails with no_capacity (draining instances of its own extend it). */
  placementPatienceMs: 5_000,
  placementRetryMs: 1_000,
  /** Outside a rollout an unplaced instance is tried for ever, at most this seldom. */
  placementRetryMaxMs: 30_000,
  /** How long a Cell holds a reservation that nobody commits: a commit follows within milliseconds, or after a restart. */
  reservationLeaseMs: 30_000,
  /** An App's copy of its region's cells is used at once and asked for again when older than this, and up to twice as old by App. */
  cellsFreshMs: 5_000,
  /** After a mass failure 10,000 Apps hold equally old lists: each looks at so many cells by chance before it looks at all. */
  lostCellsAtFirst: 4,
  /** And asks its Region, if it still looks for room, at a moment of its own within this: 1,000 calls a second, which one object takes. */
  lostAskSpreadMs: 10_000,
  /** Verification: one round may take this long; a failing round is repeated; after patience the rollout fails. */
  verifyTimeoutMs: 10_000,
  verifyRetryMs: 500,
  verifyPatienceMs: 60_000,
  /** Passive health: an edge's report is of now, or it is not believed; clocks of Workers and objects agree within less. */
  healthReportSkewMs: 10_000,
  /** A second opinion takes up to 1.5 s; the next one on what still does not answer comes after 2 s, 4 s, 8 s, then 15 s. */
  healthProbeMs: 2_000,
  healthProbeMaxMs: 15_000,
  /** Instances asked about in one effect: more fetches than six wait for each other anyway. */
  healthProbesMax: 24,
  /** After a false alarm reports of the same instance are not believed this long, doubling up to the maximum. */
  healthDoubtMs: 2_000,
  healthDoubtMaxMs: 60_000,
  /** Replacement of instances that failed for good: 1 s, 2 s, 4 s, … 60 s; an instance that ran ready this long resets it. */
  replaceBackoffMs: 1_000,
  replaceBackoffMaxMs: 60_000,
  replaceResetMs: 60_000,
  /** Crashes of one instance without having been ready for replaceResetMs after which it goes elsewhere; the agent waits 8 s by then. */
  restartBudget: 5,
  /** Failed pulls of one instance, outside a rollout, after which another node tries: one may be the registry's hiccup. */
  pullFailuresMax: 2,
  /** What keeps crashing on every node moves ever more seldom: 1 s, 2 s, 4 s, … 10 min. */
  moveBackoffMaxMs: 600_000,
  /** A node on which a slot failed is avoided for as long, when there is room elsewhere; so many are remembered. */
  failedNodeMs: 600_000,
  failedNodesKept: 8,
  /** A Cell hears at most this often what holds those that are to leave its nodes: refusals change with every try. */
  heldIntervalMs: 1_000,
  /** An ended singleton that its node has not confirmed yet is asked for again this seldom: the Cell tells by itself. */
  confirmRetryMs: 60_000,
  /** A Cell that left a reserve unanswered this often is passed over for the next one. */
  reserveTriesMax: 3,
  /** Calls between objects: repeated when not answered, with backoff. */
  callRetryMs: 1_000,
  callRetryMaxMs: 15_000,
  /** Events wait this long so that one SQL transaction takes many. */
  outboxDelayMs: 200,
  /** Of a Cell, whose events nobody streams: a second's worth of a cell that comes or goes is one transaction, not five. */
  cellOutboxDelayMs: 1_000,
  outboxRetryMs: 2_000,
  outboxRetryMaxMs: 60_000,
  /** Events per SQL transaction: well under the 1 MB that an RPC and a statement take easily. */
  outboxBatchMax: 200,
  /** KV takes one write per second and key. */
  kvWriteIntervalMs: 1_000,
  /** While instances are becoming ready one after the other, nodes hear of new route versions at most this often. */
  routeNotifyIntervalMs: 100,
  /** Idempotency keys: a day, and bounded (the oldest go first). */
  idempotencyTtlMs: 86_400_000,
  /** An isolate's copy of the platform's keys is as old as this; KV's may be a minute older. */
  keysFreshMs: 10_000,
  /** Before a new key is used, and before an old one is believed gone: a minute of KV, an isolate's copy, and a Worker's deploy. */
  keysSpreadMs: 120_000,
  idempotencyKeysMax: 1_000,
  /** What an App object keeps beside what is in use. */
  releasesKept: 20,
  rolloutsKept: 50,
  endedInstancesKept: 100,
  /** Delivered events kept for SSE clients that come back. */
  eventsKept: 2_000,
  /** One row holds a release's sealed environment; a row is at most 2 MB. */
  environmentBytesMax: 1_000_000,
  environmentNamesMax: 500,
  replicasMax: 1_000,
  /** A Cell object carries at most 64 nodes: about 32 heartbeats/s, far from the 1,000 requests/s of one object. */
  nodesPerCellMax: 64,
  /** Two may be lost at once and a node that cannot be reached still is; each costs it one connection. */
  relaysPerNodeMax: 3,
  /** 2.5 million instances in 157 cells are 16,000 each; 20,000 rows of about 3 kB stay well below an object's 128 MB. */
  instancesPerCellMax: 20_000,
  /** Removed nodes that a cell (and, 64 times as many, a Region) remembers, so that they are told why they are refused. */
  removedNodesKept: 256,
  /** A place in a cell whose node has not enrolled there by then may go to another: a join token lives 15 minutes, and its holder may try on. */
  placeUnclaimedMs: 3_600_000,
  /** Boots of a node that are remembered, so that an older one cannot come back. */
  bootsKept: 32,
  /** An agent that is refused tries on at least every 30 s: silent for twice that, a second server with the same identity is gone. */
  clonedForMs: 60_000,
  /** Reorderings of the `ask` lane that are still accepted (bits of the window). */
  askWindow: 64,
  /** A silent node's strict singletons are replaced this long after its last lease row: its agent stops them 25 s after the send. */
  strictReplaceMs: 30_000,
  /** What is to leave a node is told again to an App that said nothing of it: messages are durable, so this heals only faults of an App. */
  evacuateAgainMs: 30_000,
  /**
   * What one node may have its Cell do of its own accord. A well agent beats every 2 s, and for each change: while hundreds of
   * instances come up, once per round trip. A refused beat is nothing lost, the next one is complete.
   */
  beatsPerMinute: 1_200,
  beatsBurst: 200,
  /**
   * Agents of one cell that change at once: an agent is silent for about a second while it does, and a cell of which 30 % are
   * silent freezes its rescheduling.
   */
  upgradeAtOnceMax: 8,
  /** From the word to a node that runs the new agent: a slow download, 60 s in which it may prove itself, and the way back. */
  upgradeNodeMs: 300_000,
  /** Once heard again it is watched this long: readiness probes come every 2 s and count three failures. */
  upgradeSoakMs: 10_000,
  /** A Region asks the Cells of a stage this often how far they are; one that says nothing for this long stops the upgrade. */
  upgradeLookMs: 2_000,
  upgradeSilentMs: 120_000,
  /** Of the cells, rounded up, that come before all. */
  upgradePartPercent: 10,
  /** Nodes that an upgrade passes over are named up to so many; lines of its story that are kept. */
  upgradeNamedMax: 10,
  upgradeStoryMax: 40,
  /** Conditions that begin or end, each a row here and in Postgres: beyond that what is so is looked at with a later beat. */
  flipsPerMinute: 30,
  flipsBurst: 60,
  /** Notices and metering rows; what is over stays with the node, which keeps 512 of the ones, and of the others a week. */
  reportsPerMinute: 60,
  reportsBurst: 512,
  /** While so many events wait for Postgres, more reports stay with the nodes: a metering row may have 100 kB. */
  reportsWaitingMax: 500,
  /** A Cell looks this often for what it may forget. */
  forgetIntervalMs: 3_600_000,
  /** An App with nothing left in a cell is forgotten there after a day in which nothing was said; so many rows at a time. */
  linkIdleMs: 86_400_000,
  forgottenPerSweepMax: 5_000,
  /**
   * What left a node is known until the node told of a time this long after it (an Engine that was away counts it for longer),
   * or for as long as an agent keeps its rows (a week, and a day); of so many, the newest.
   */
  leftMeteredMs: 3_600_000,
  leftKeptMs: 691_200_000,
  leftKeptMax: 20_000,
  /** One rebalance: moves of a plan; placements tried for it (about 0.1 ms each, in one turn of the object); its end. */
  rebalanceStepsMax: 500,
  rebalanceTriesMax: 2_000,
  rebalanceMaxMs: 1_800_000,
  /** Messages one App may owe an acknowledgement for; beyond it the Cell remembers only to resend the present state. */
  messagesPendingMax: 500,
  messageBatchMax: 100,
  /** Apps with waiting messages that one step looks at; while there are more, the Cell wakes itself for the next ones. */
  deliveriesPerStepMax: 256,
  deliverNextMs: 50,
  /** Rooms in a cell's summary, the largest first: under 1.5 KB, so that an App's copy of 157 cells stays far below a row's 2 MB. */
  summaryRoomsMax: 40,
  /** A Cell tells its Region at most this often, unless a node came or went. */
  summaryIntervalMs: 5_000,
  /** Nodes that come and go together are told of together. */
  urgentSummaryMs: 250,
  /** What gateways counted of a watched app is told to its App this often at most: as often as nodes tell it. */
  countEveryMs: 2_000,
  /** Pull progress is passed on in steps of this many percent, so that a pull is not a row per heartbeat. */
  pullProgressPercent: 10,
  /** Of the objects' shells: an answer that takes longer is given up on (the row that asked for it tries again). */
  callTimeoutMs: 5_000,
  /** Quick tries within one call, only for what the platform marks retryable: a reset object is back within 100 ms. */
  callTriesMax: 3,
  callQuickRetryMs: 25,
  callQuickRetryMaxMs: 200,
  /** An alarm this late was abandoned by the platform (after six failed tries) and is set anew. */
  alarmOverdueMs: 10_000,
  /** A region's snapshot is made anew at most this often, while agents ask for it: each time its cells are asked. */
  snapshotMakeMs: 20_000,
  /** Apps that are asked for their routes for one snapshot: where more have changed at once, the next one has the rest. */
  snapshotRoutesMax: 500,
  /** Event streams that one App object feeds; each is a socket held by a Worker. */
  eventSocketsMax: 1_000,
  /** A page of an object's copy: one RPC carries it in a few milliseconds, and a row of 2 MB is a page of its own. */
  copyPageCharsMax: 2_000_000,
  /** A restored Cell listens this long before it publishes: agents beat every 2 s, and back off to 30 s in their polls. */
  adoptMs: 45_000,
  /** A restored App acts without the word of a Cell by then: the Cell was not restored. */
  restoreWaitMs: 900_000,
} as const;

export type Limits = { readonly [Name in keyof typeof DEFAULT_LIMITS]: number };

/** Defaults with overrides of known names; anything that is not a positive finite number under a known name is refused. */
export function limitsFrom(tuning: string | undefined | null): Limits {
  if (!tuning) return DEFAULT_LIMITS;
  const overrides: unknown = JSON.parse(tuning);
  if (typeof overrides !== "object" || overrides === null) throw new Error("TUNING must be a JSON object of numbers");
  const known: Record<string, number> = {};
  for (const [name, value] of Object.entries(overrides)) {
    if (!(name in DEFAULT_LIMITS)) continue; // Agents share the variable and have limits of their own.
    if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
      throw new Error(`TUNING.${name} must be a number of at least 0`);
    }
    known[name] = value;
  }
  return { ...DEFAULT_LIMITS, ...known };
}
