// What is counted of simulated nodes, and the way they take to the control plane.

/** What happened to all agents of a process, since it was last asked. */
export interface Counts {
  /** Control plane's moment of the wake-up → the answer here, in milliseconds. */
  wakes: number[];
  heartbeatMs: number[];
  /** Of these, over a socket; and sockets that came about. */
  socketBeats: number;
  sockets: number;
  /** 204s, and documents that were newer already when the poll came. */
  pollsTimedOut: number;
  pollsAnsweredAtOnce: number;
  failures: Record<string, number>;
}

/** socket: as agents do it that may, with HTTP where none comes about. */
export type Transport = "http" | "socket";
