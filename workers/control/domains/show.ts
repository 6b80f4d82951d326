// A domain as the API shows it: from its row, without asking anybody.
import type { Domain } from "../../../contracts/domains.ts";
import { delegationOf } from "../../../core/domains/delegation.ts";
import { instructionsOf, statusOf, type Blocked } from "../../../core/domains/explain.ts";
import { suspendAtMs } from "../../../core/domains/judge.ts";
import type { DomainLimits } from "../../../core/domains/limits.ts";
import type { DomainRecord } from "../../../db/queries/domains.ts";
import { stateOf } from "./check.ts";

/** target: what it is to be an alias of. ingressZone: where ingresses' challenges are answered; null: nobody orders any certificate. */
export interface Shown {
  readonly target: string;
  readonly ingressZone: string | null;
  readonly limits: DomainLimits;
}

export function shownDomain(row: DomainRecord, { target, ingressZone, limits }: Shown, nowMs: number): Domain {
  const state = stateOf(row);
  const { hostname, token, findings, certificate } = row;
  const blocked = state.kind === "proven" ? null : blockedBy(row.held, row.team, nowMs);
  const proven = state.kind === "proven" ? certificate : null;
  return {
    hostname,
    app: row.app,
    ...statusOf(state, blocked, { target, findings }),
    instructions: instructionsOf({ hostname, token, target, findings }, proven),
    ...(ingressZone === null ? {} : { delegation: delegationOf(hostname, ingressZone, findings, proven) }),
    certificate: proven,
    blockedUntilMs: blocked?.reason === "rests" ? blocked.untilMs : null,
    suspendAtMs: suspendAtMs(state, limits),
    provenAtMs: row.provenAtMs,
    checkedAtMs: row.checkedAtMs,
    nextCheckAtMs: row.nextCheckAtMs,
    createdAtMs: row.createdAtMs,
  };
}

/** Whether another team's hold is in the way of `team`. */
export function blockedBy(held: DomainRecord["held"], team: string, nowMs: number): Blocked | null {
  if (held === null || held.team === team) return null;
  if (held.state === "held") return { reason: "taken" };
  const untilMs = held.restsUntilMs ?? 0;
  return untilMs > nowMs ? { reason: "rests", untilMs } : null;
}
