// The gateway's limits, each with its reason. runGateway takes overrides, so that tests need not wait for them.

export const GATEWAY_LIMITS = {
  /** Workers send heads of up to 128 KB; as much again is not to be expected of an app. */
  headBytesMax: 128 * 1024,
  /** From a connection's first byte of a head to its last: a Worker sends a head at once, only a slow-loris needs longer. */
  headTimeoutMs: 10_000,
  /** Above Cloudflare's own 900 s for origin connections: whoever closes first must not be us, or a POST on its way is lost. */
  idleConnectionMs: 920_000,
  /** Below Node's default keep-alive of 5 s, the shortest among common servers, so that a pooled connection is rarely stale. */
  upstreamIdleMs: 4_000,
  /** A request that must not be sent twice only takes a pooled connection that was in use this recently. */
  upstreamIdleUnsafeMs: 1_000,
  upstreamIdlePerInstanceMax: 256,
  /** One app in trouble must not take all of the process's descriptors. */
  openPerInstanceMax: 4_096,
  /** A container on this very machine answers a SYN in microseconds; its accept queue may be full for a moment. */
  dialTimeoutMs: 3_000,
  /** Long polls are common; beyond five minutes without a head nobody is waiting any more. */
  answerTimeoutMs: 300_000,
  /** Interim answers (1xx) before the real one; more are an app's way to stay silent for ever. */
  interimAnswersMax: 32,
  /** A body or a WebSocket on which nothing moved for an hour is taken for dead. */
  streamIdleMs: 3_600_000,
  /** Who was told to leave its WebSocket answers within a round trip, and the app then ends it; else both sides are closed. */
  farewellMs: 5_000,
  /** After the last answer on a connection: what still comes is thrown away this long, so that no reset overtakes the answer. */
  lingerMs: 2_000,
  connectionsMax: 10_000,
  /** Bytes of a request's body that are read and thrown away after an early answer, so that the answer is not lost to a reset. */
  discardBytesMax: 8 * 1024 * 1024,
  discardMs: 10_000,
  /** After SIGTERM idle connections stay this long: workerd drops its own idle ones after 5 s, so none is cut under a request. */
  lameDuckMs: 6_000,
  /** After SIGTERM open requests and WebSockets get this long; an instance's drain is 90 s. */
  drainMs: 95_000,
  /** A gateway that has handed over is in nobody's way: its WebSockets and downloads get as long as a silent one would. */
  handOverDrainMs: 3_600_000,
  /** Verified tickets kept; each is about 1 KB. */
  ticketsMax: 20_000,
  ticketBytesMax: 2_048,
  /** Time-outs are looked after this often, in one sweep, instead of by a timer for each request. */
  sweepMs: 250,
  /** When nobody poked: how soon a changed endpoint file is seen. */
  fileCheckMs: 1_000,
  /** Counters of an instance that left the file are kept for the agent to fetch this long. */
  countersKeptMs: 600_000,
  /** Between the ends of a connection to a relay: pings this often, and an end is given up after so long without an answer. */
  relayPingMs: 2_000,
  relaySilentMs: 6_000,
  /** A node that lost its connection to this gateway dials anew within a second, also when another gateway process takes over here. */
  relayWaitMs: 2_000,
  /** Dials to a relay that is away: full jitter between these. */
  relayBackoffMinMs: 100,
  relayBackoffMaxMs: 5_000,
  relayDialTimeoutMs: 5_000,
  logTailLinesMax: 10_000,
  logFollowMs: 250,
} as const;

export type GatewayLimits = { readonly [Name in keyof typeof GATEWAY_LIMITS]: number };
