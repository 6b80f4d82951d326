// The edge's limits, each with its reason.

export const ROUTING_LIMITS = {
  /** A route is used unasked for this long: every isolate reads KV at most once in that time per app. */
  routeFreshMs: 5_000,
  /**
   * Older than this (an app nobody visited) a route is read again before it is used: by then a lost node's instances are replaced, and
   * one that comes back must not get a visitor before it has stopped them.
   */
  routeUsableMs: 8_000,
  /** Whose a hostname is changes by somebody's word, and a request that went to an app of before is that app's to answer. */
  hostUsableMs: 60_000,
  /** A route without anybody to serve, an unknown hostname or a route known to be old is asked about at most this often. */
  recheckMs: 100,
  /** KV's own cache; the least it takes. */
  kvCacheSeconds: 30,
  /** How long a request waits for a fresher route when it could also be served by the one at hand. */
  refreshWaitMs: 1_000,
  /** After an App object left a question unanswered, requests stop waiting for its answers this long (they ask on beside). */
  silentMs: 2_000,
  /** How long a request waits for its first route; KV and a cold object take tens of milliseconds. */
  firstRouteWaitMs: 5_000,
  /** Routes and hostnames that an isolate remembers: at about 2 KB each, a fraction of its 128 MB. */
  routesMax: 10_000,
  /** First attempt and three more: with more failures in a row than that, the app is down, not an instance. */
  attemptsMax: 4,
  /**
   * Repetitions of an app's requests within an isolate: a fifth of its requests, or so many a second where those are few. Enough
   * for one instance of five that fails; an app that fails whole gets 1.2 times its load, not four times. Moves are not counted.
   */
  retryShare: 0.2,
  retriesPerSecondMin: 10,
  retryBurstMax: 100,
  /** Answers of 500 and more in a row from one instance after which it is tried last, while another of its release answers. */
  serverErrorsInRowMax: 5,
  /** Bodies up to this are held in memory so that they can be sent again; an isolate has 128 MB for all its requests. */
  bodyBufferBytesMax: 1_048_576,
  /** Without an answer's head for this long, the gateway is asked whether it is there at all. */
  suspectAfterMs: 1_000,
  /**
   * A gateway answers its health from memory, in milliseconds. With suspectAfterMs this bounds for how long a node without power
   * fails requests; a probe lost to chance costs a second of preferring others.
   */
  probeTimeoutMs: 500,
  /** The last node that stands is given up after so many probes in a row more, ejectMs apart: 4.5 s of silence in all. */
  lastProbes: 2,
  /** Where its host still takes connections: a machine that is loaded to many times its worth answers after seconds. 10.5 s in all. */
  busyProbes: 6,
  /** Requests to one node within this time share one timer: a timer for each costs a Worker 7 % of its throughput. */
  watchShareMs: 100,
  /** What failed is avoided for this long, twice as long each time it fails again, up to the maximum. */
  ejectMs: 1_000,
  ejectMaxMs: 30_000,
  /** A trial that says nothing for so long is over; the next one may begin. */
  trialMs: 2_000,
  /** How long an instance that is due waits for a request that can be repeated, before any other may try it. */
  trialPatienceMs: 5_000,
  /** After so long without a failure the waits begin anew. */
  ejectForgetMs: 60_000,
  /** Nodes and instances that an isolate holds something against; beyond it the oldest is forgotten. */
  ejectionsMax: 10_000,
  /**
   * Reports to App objects: at most one per instance and second (and no more than one per ejection, whose waits double), so
   * that one App hears at most 30 in a minute from an isolate; and this many in all per second, since each is a call.
   */
  reportEveryMs: 1_000,
  reportsPerSecondMax: 20,
  /** Requests that wait for longer than a gateway lets them wait have been left by their visitors. */
  waitForgottenMs: 310_000,
  /** Counts of open requests begin anew this often: a visitor who leaves may leave his count behind. */
  loadWindowMs: 60_000,
} as const;

export type RoutingLimits = { readonly [Name in keyof typeof ROUTING_LIMITS]: number };
