// What one isolate holds against a node or an instance: ejected at once, for a time that doubles, until a trial succeeds.
import type { GatewayError } from "../../contracts/ticket.ts";
import { assertNever } from "../step.ts";
import type { RoutingLimits } from "./limits.ts";

export interface Out {
  readonly kind: "out";
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly count: number;
}

/** Nothing known against it: no entry. count: failures in a row, each after the time of the one before. */
export type Ejection =
  /** Nobody is sent there before untilMs; then one trial decides. */
  | Out
  /** A trial is under way; it counts as out, until untilMs at the latest (whoever tried may have left). */
  | { readonly kind: "trial"; readonly sinceMs: number; readonly untilMs: number; readonly count: number }
  /** Serves again; a failure before forgetAtMs waits longer than the last one. */
  | { readonly kind: "back"; readonly forgetAtMs: number; readonly count: number };

/** in: like any other. out: only where nobody else is left. due: half open, whoever goes there is the trial. */
export type Standing = "in" | "out" | "due";

export function standing(known: Ejection | undefined, nowMs: number): Standing {
  if (known === undefined || known.kind === "back") return "in";
  return nowMs < known.untilMs ? "out" : "due";
}

/**
 * Whether to look at once whether a node is back, whatever its ejection says: a route that was made since then names it, so that
 * something became ready there. Each look that fails ejects it anew: one for each newer route.
 */
export function mayBeBack(known: Ejection | undefined, routeAtMs: number): boolean {
  return known?.kind === "out" && routeAtMs > known.sinceMs;
}

/** After a failure. Further failures of what was sent before the ejection change nothing. */
export function ejected(known: Ejection | undefined, nowMs: number, limits: RoutingLimits): Out {
  if (known?.kind === "out" && nowMs < known.untilMs) return known;
  const remembered = known !== undefined && !(known.kind === "back" && known.forgetAtMs <= nowMs);
  const count = (remembered ? known.count : 0) + 1;
  const waitMs = Math.min(limits.ejectMaxMs, limits.ejectMs * 2 ** Math.min(count - 1, 16));
  return { kind: "out", sinceMs: nowMs, untilMs: nowMs + waitMs, count };
}

/** Somebody finds out now: a request that may fail, or a probe. Until it is known, nobody else is sent there. */
export function onTrial(known: Ejection | undefined, nowMs: number, limits: RoutingLimits): Ejection {
  const count = known === undefined || (known.kind === "back" && known.forgetAtMs <= nowMs) ? 0 : known.count;
  const sinceMs = known === undefined || known.kind === "back" ? nowMs : known.sinceMs;
  return { kind: "trial", sinceMs, untilMs: nowMs + limits.trialMs, count };
}

/** After an answer to what was sent at sentAtMs; undefined: nothing is held against it any more. */
export function answered(
  known: Ejection | undefined,
  sentAtMs: number,
  nowMs: number,
  limits: RoutingLimits,
): Ejection | undefined {
  if (known === undefined) return undefined;
  switch (known.kind) {
    case "back":
      return known.forgetAtMs <= nowMs ? undefined : known;
    case "out":
    case "trial":
      // An answer to an older request says nothing about what failed since.
      if (sentAtMs < known.sinceMs) return known;
      if (known.count === 0) return undefined;
      return { kind: "back", forgetAtMs: nowMs + limits.ejectForgetMs, count: known.count };
    default:
      return assertNever(known);
  }
}

/**
 * Whether a request may be the trial of an instance that is due. One that cannot be repeated elsewhere leaves it to others,
 * unless none came for trialPatienceMs: an app that gets nothing but POSTs must come back too.
 */
export function mayTry(known: Ejection, repeatable: boolean, nowMs: number, limits: RoutingLimits): boolean {
  return known.kind !== "back" && nowMs >= known.untilMs + (repeatable ? 0 : limits.trialPatienceMs);
}

/**
 * What a gateway's own answer says against the instance: null, nothing. reportFrom: the ejection in a row from which on the App
 * object is told; null, never.
 */
export function verdictOf(code: GatewayError): { readonly reportFrom: number | null } | null {
  switch (code) {
    // The instance has moved, or the visitor's own request was at fault.
    case "instance_gone":
    case "malformed_request":
    case "body_too_large":
      return null;
    // Alive, but no use to this isolate now: too busy, or its node does not take our tickets.
    case "too_many_connections":
    case "ticket_missing":
    case "ticket_invalid":
    case "ticket_expired":
      return { reportFrom: null };
    case "connect_failed":
    case "upstream_timeout":
      return { reportFrom: 1 };
    // Once is chance: an app may close an idle connection under a POST that must not be sent twice.
    case "upstream_reset":
      return { reportFrom: 2 };
    default:
      return assertNever(code);
  }
}
