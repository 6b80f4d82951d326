// The edge's limits, each with its reason.

export const ROUTING_LIMITS = {
  /** A route is used unasked for this long: every isolate reads KV at most once in that time per app. */
  routeFreshMs: 5_000,
  /** Older than this (an app nobody visited) a route is read again before it is used; a drained instance serves 90 s. */
  routeUsableMs: 60_000,
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
  /** Bodies up to this are held in memory so that they can be sent again; an isolate has 128 MB for all its requests. */
  bodyBufferBytesMax: 1_048_576,
  /** Without an answer's head for this long, the gateway is asked whether it is there at all. */
  suspectAfterMs: 1_000,
  probeTimeoutMs: 1_000,
  /** Requests to one node within this time share one timer: a timer for each costs a Worker 7 % of its throughput. */
  watchShareMs: 100,
  /** A node whose connection broke is avoided for a moment; one whose gateway did not answer a probe, until its lease is over. */
  ejectBrieflyMs: 1_000,
  ejectMs: 10_000,
} as const;

export type RoutingLimits = { readonly [Name in keyof typeof ROUTING_LIMITS]: number };
