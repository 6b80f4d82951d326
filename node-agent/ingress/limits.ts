// The ingress's limits, each with its reason. Those of choosing and retrying are the edge's (core/routing/limits.ts).

export const INGRESS_LIMITS = {
  /** The region's file, certificates and ports are looked at this often: a look is a few calls of stat. */
  lookMs: 1_000,
  /** From the first byte of a head to its last, and for a TLS handshake: only a slow-loris needs longer. */
  headTimeoutMs: 10_000,
  /** Browsers keep connections for minutes; below it they would dial anew for every page. */
  idleMs: 75_000,
  connectionsMax: 20_000,
  /** HTTP/2: as many as nginx gives; more are a visitor's way to hold all of a process's memory. */
  streamsPerSessionMax: 128,
  /** A peer in the same region answers a SYN within a millisecond; its accept queue may be full for a moment. */
  dialTimeoutMs: 1_000,
  /** A gateway that ends keeps idle connections for 6 s: one that was used this recently is never closed under a request. */
  peerIdleMs: 5_000,
  /** A session to an app that speaks HTTP/2 is kept this long without a request. */
  sessionIdleMs: 60_000,
  /** After SIGTERM idle connections stay this long: who sends on one just then is served, and told to come on another. */
  lameDuckMs: 2_000,
  /** After SIGTERM what is open gets this long. */
  drainMs: 30_000,
  /** An ingress that has handed over is in nobody's way: its WebSockets and downloads get as long as at a gateway. */
  handOverDrainMs: 3_600_000,
  /** Half of their life of a minute: one is never presented that ends on the way. */
  ticketKeptMs: 30_000,
  ticketsMax: 20_000,
} as const;

export type IngressLimits = { readonly [Name in keyof typeof INGRESS_LIMITS]: number };
