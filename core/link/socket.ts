// The agent's WebSocket as a state: when it is opened, when it is believed in, and when HTTP goes on in its place.
import type { AgentLimits } from "../converge/limits.ts";
import { assertNever } from "../step.ts";

/** failures: sockets in a row that did not come about or did not last. */
export type SocketState =
  /** isHeard: the control plane was heard over HTTP since. Nobody asks for a socket before: while it is away, nobody is there to open one. */
  | { readonly kind: "closed"; readonly failures: number; readonly retryAtMs: number; readonly isHeard: boolean }
  | { readonly kind: "opening"; readonly failures: number; readonly sinceMs: number }
  /** isLate: its last answer came late, so it is the control plane that is behind, and not the socket that is dead. */
  | { readonly kind: "open"; readonly failures: number; readonly sinceMs: number; readonly isLate: boolean }
  /**
   * Something sent at unansweredSinceMs was not answered in time: HTTP goes on, and an answer that comes after all ends the doubt.
   * isToBlame: HTTP was answered meanwhile. Until then it may as well be the control plane that has too much to do, to which new
   * sockets would be the more of it, and HTTP too, which costs it three times as much: so the two take turns. beats: sent since.
   */
  | {
      readonly kind: "doubted";
      readonly failures: number;
      readonly sinceMs: number;
      readonly unansweredSinceMs: number;
      readonly isToBlame: boolean;
      readonly beats: number;
    };

/** How an attempt ended, or a socket. unknown_path: the control plane is older, or a proxy in between knows no upgrades. */
export type SocketEnd = "unknown_path" | "failed" | "replaced" | "expired";

export type SocketEvent =
  /** Time has passed. */
  | { readonly kind: "look" }
  | { readonly kind: "opened" }
  /** A heartbeat goes out, the way that wayOf says. */
  | { readonly kind: "beat" }
  /** An answer to something that was sent on it: both directions work. */
  | { readonly kind: "answered"; readonly sentAtMs: number }
  | { readonly kind: "unanswered"; readonly sentAtMs: number }
  /** What was sent over HTTP then was answered. */
  | { readonly kind: "heard_over_http"; readonly sentAtMs: number }
  /** It was refused, because the control plane has too much to do: HTTP is the more of it, and a socket the way out. */
  | { readonly kind: "busy_over_http" }
  | { readonly kind: "ended"; readonly end: SocketEnd; readonly retryAfterMs: number | null };

/** share: a random number from 0 to 1. */
export interface SocketAt {
  readonly nowMs: number;
  readonly share: number;
}

/** The first attempt comes within a beat, so that a fleet that boots together does not connect together. */
export function firstSocketState(limits: AgentLimits, { nowMs, share }: SocketAt): SocketState {
  return { kind: "closed", failures: 0, retryAtMs: nowMs + share * limits.heartbeatMs, isHeard: false };
}

/** The way of the next heartbeat. */
export function wayOf(state: SocketState): "socket" | "http" {
  if (state.kind === "doubted") return !state.isToBlame && state.beats % 2 === 1 ? "socket" : "http";
  return state.kind === "open" ? "socket" : "http";
}

/** Wake-ups come over the socket, and what is newer is asked for on it. */
export const isUsable = (state: SocketState): boolean => state.kind === "open";
/** There is a socket, and something on it may still be answered: nobody polls beside it. */
export const isThere = (state: SocketState): boolean => state.kind === "open" || state.kind === "doubted";

/** The next state. From closed to opening: connect. From anything to closed: end what there is. */
export function stepSocket(state: SocketState, event: SocketEvent, at: SocketAt, limits: AgentLimits): SocketState {
  switch (event.kind) {
    case "look":
      return look(state, at, limits);
    case "opened":
      return state.kind === "opening"
        ? { kind: "open", failures: state.failures, sinceMs: at.nowMs, isLate: false }
        : state;
    case "answered": {
      const isLate = at.nowMs - event.sentAtMs > limits.heartbeatTimeoutMs;
      if (state.kind !== "doubted" && (state.kind !== "open" || state.isLate === isLate)) return state;
      return { kind: "open", failures: state.failures, sinceMs: state.sinceMs, isLate };
    }
    case "unanswered":
      if (state.kind !== "open") return state;
      return doubted(state, event.sentAtMs);
    case "beat":
      return state.kind === "doubted" ? { ...state, beats: state.beats + 1 } : state;
    case "heard_over_http":
      return heardOverHttp(state, event.sentAtMs, at, limits);
    case "busy_over_http":
      return state.kind === "closed" ? somebodyIsThere(state, at, limits) : state;
    case "ended":
      return state.kind === "closed" ? state : closed(state, event, at, limits);
    default:
      return assertNever(event);
  }
}

/** When to look next; null: nothing changes by waiting. */
export function lookAtMs(state: SocketState, limits: AgentLimits): number | null {
  switch (state.kind) {
    case "closed":
      return state.isHeard ? state.retryAtMs : null;
    case "opening":
      return state.sinceMs + limits.socketOpenMs;
    case "open":
      return null;
    case "doubted":
      return state.unansweredSinceMs + (state.isToBlame ? limits.heartbeatGiveUpMs : limits.socketDoubtMaxMs);
    default:
      return assertNever(state);
  }
}

/** The first heartbeat goes over HTTP, where a dead end cannot hold it up; the second, where the socket was slow but alive just before. */
function doubted({ failures, sinceMs, isLate }: Extract<SocketState, { kind: "open" }>, sentAtMs: number): SocketState {
  const beats = isLate ? 1 : 0;
  return { kind: "doubted", failures, sinceMs, unansweredSinceMs: sentAtMs, isToBlame: false, beats };
}

function heardOverHttp(state: SocketState, sentAtMs: number, at: SocketAt, limits: AgentLimits): SocketState {
  if (state.kind === "closed") return somebodyIsThere(state, at, limits);
  if (state.kind !== "doubted" || sentAtMs <= state.unansweredSinceMs) return state;
  return look({ ...state, isToBlame: true }, at, limits);
}

/** Where the pause was over before, all who waited for this answer come apart: they were heard within seconds of each other. */
function somebodyIsThere(
  state: Extract<SocketState, { kind: "closed" }>,
  { nowMs, share }: SocketAt,
  { socketRetryMs }: AgentLimits,
): SocketState {
  if (state.isHeard) return state;
  const retryAtMs = state.retryAtMs > nowMs ? state.retryAtMs : nowMs + share * socketRetryMs;
  return { ...state, isHeard: true, retryAtMs };
}

function look(state: SocketState, at: SocketAt, limits: AgentLimits): SocketState {
  const due = lookAtMs(state, limits);
  if (due === null || at.nowMs < due) return state;
  if (state.kind === "closed") return { kind: "opening", failures: state.failures, sinceMs: at.nowMs };
  return closed(state, { end: "failed", retryAfterMs: null }, at, limits);
}

/** A socket that lasted was a good one, whatever ended it: what failed before it counts no more. */
function closed(
  state: Exclude<SocketState, { kind: "closed" }>,
  { end, retryAfterMs }: { readonly end: SocketEnd; readonly retryAfterMs: number | null },
  { nowMs, share }: SocketAt,
  limits: AgentLimits,
): SocketState {
  const lasted = isThere(state) && nowMs - state.sinceMs >= limits.socketSteadyMs;
  const failures = (lasted ? 0 : state.failures) + 1;
  // What all were told alike is spread like all else.
  const pauseMs = Math.max((retryAfterMs ?? 0) * (1 + share), pauseAfter(end, failures, share, limits));
  return { kind: "closed", failures, retryAtMs: nowMs + pauseMs, isHeard: false };
}

/** Full jitter. An older control plane is not asked again soon: it is upgraded once in a while. */
function pauseAfter(end: SocketEnd, failures: number, share: number, limits: AgentLimits): number {
  const { socketRetryMinMs, socketRetryMs, socketRetryMaxMs } = limits;
  if (end === "unknown_path") return socketRetryMaxMs * (0.5 + share / 2);
  // A renewed credential is at hand, and nothing is wrong with the way.
  const doublings = end === "expired" ? 0 : Math.min(failures - 1, 30);
  const ceilingMs = Math.min(socketRetryMaxMs, socketRetryMs * 2 ** doublings);
  return socketRetryMinMs + share * Math.max(0, ceilingMs - socketRetryMinMs);
}
