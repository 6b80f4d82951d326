// The agent protocol over one WebSocket per agent: the bodies of polls and heartbeats in envelopes. HTTP is the floor beside it.
import { z } from "zod";
import { HeartbeatRequest, HeartbeatResponse, PollRequest, PollResponse } from "./agent-protocol.ts";
import { FAILURE_CODES } from "./failures.ts";
import { AtMs } from "./ids.ts";

/**
 * GET `${SOCKET_PATH}?protocol=…&ack=…` with `upgrade: websocket`, credential and proof (lane socket, no body). ack: the newest
 * revision stored by the agent; what is newer comes at once. 101, or a problem document. A control plane without it says 404.
 */
export const SOCKET_PATH = "/agent/v1/socket";
/** The first protocol with this transport. */
export const SOCKET_PROTOCOL = 3;

/** Why the control plane closes an agent's socket. Whatever the reason, the agent goes on over HTTP and comes back in a while. */
export const SOCKET_CLOSES = {
  /** A newer socket of the same node: the newest wins. */
  replaced: 4001,
  /** Its credential ended, and was not renewed. */
  expired: 4002,
  /** The node was revoked or removed. */
  revoked: 4003,
  /** Its node beats over HTTP and says nothing here: one of the two ends is dead. */
  silent: 4004,
  /** What came is no message of this protocol. */
  malformed: 4005,
} as const;

/**
 * id of a heartbeat: its seq in the lane `heartbeat` of the boot that opened the socket, so that heartbeats have one order over
 * both transports and none counts twice. id of a poll: its seq in the lane `poll`. atMs: when it was sent, by the control plane's clock.
 */
export const FromAgent = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("heartbeat"), id: z.int().positive(), atMs: AtMs, body: HeartbeatRequest }),
  /** Sent where a heartbeat's answer names a revision that has not come: the wake-up was lost. */
  z.object({ kind: z.literal("poll"), id: z.int().positive(), body: PollRequest }),
]);
export type FromAgent = z.infer<typeof FromAgent>;
/** What every message has, whatever else a newer agent may say. */
export const FromAgentHead = z.object({
  kind: z.string().max(32),
  id: z.int().positive(),
  body: z.object({ protocol: z.int() }),
});

export const SocketRefusal = z.object({
  code: z.enum(FAILURE_CODES),
  message: z.string(),
  nowMs: AtMs,
});

/** id: of the message that is answered; 0: of none, as in a wake-up. of: the kind of what is refused. Messages of another kind are passed over. */
export const ToAgent = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("heartbeat"), id: z.int(), body: HeartbeatResponse }),
  /** null: there is nothing newer than what the poll acknowledged. */
  z.object({ kind: z.literal("poll"), id: z.int().nonnegative(), body: PollResponse.nullable() }),
  z.object({ kind: z.literal("refused"), of: z.string(), id: z.int(), body: SocketRefusal }),
]);
export type ToAgent = z.infer<typeof ToAgent>;
