// What becomes of a domain once its records were looked up: proven or not, and when to look again. Decides nothing about other teams.
import type { Findings, Lookup } from "../../contracts/domains.ts";
import { assertNever } from "../step.ts";
import { proofValue } from "./hostname.ts";
import type { DomainLimits } from "./limits.ts";

/**
 * pending: never proven (since it was added). proven: it serves; seenAtMs is when the proof was last there, missingSinceMs since when it
 * is known to be gone. suspended: it served, and the proof stayed away.
 */
export type DomainState =
  | { readonly kind: "pending"; readonly sinceMs: number }
  | {
      readonly kind: "proven";
      readonly provenAtMs: number;
      readonly seenAtMs: number;
      readonly missingSinceMs: number | null;
    }
  | { readonly kind: "suspended"; readonly provenAtMs: number; readonly sinceMs: number };

/** there: the very value. gone: the zone has no such value. unknown: nobody could say. */
export type Proof = "there" | "gone" | "unknown";
export type Pointing = "here" | "elsewhere" | "nowhere" | "unknown";

export function proofIn({ proof }: Pick<Findings, "proof">, token: string): Proof {
  if (proof.kind === "failed") return "unknown";
  // What people paste: with quotes, or with a blank at an end.
  const wanted = proofValue(token);
  const same = (text: string): boolean => text.trim().replace(/^"(.*)"$/, "$1") === wanted;
  return proof.kind === "records" && proof.records.some(same) ? "there" : "gone";
}

export function pointingOf(
  { pointer, addresses, targetAddresses }: Pick<Findings, "pointer" | "addresses" | "targetAddresses">,
  target: string,
): Pointing {
  if (pointer.kind === "records" && pointer.records.includes(target)) return "here";
  // At a zone's top there can be no alias: providers put the target's own addresses there instead.
  const own = recordsOf(addresses);
  const wanted = recordsOf(targetAddresses);
  if (own.length > 0 && wanted.length > 0 && own.every((address) => wanted.includes(address))) return "here";
  if (pointer.kind === "failed") return "unknown";
  if (pointer.kind === "records" || own.length > 0) return "elsewhere";
  return addresses?.kind === "failed" ? "unknown" : "nowhere";
}

const recordsOf = (lookup: Lookup | null): readonly string[] => (lookup?.kind === "records" ? lookup.records : []);

/** The next state. Whether a pending or suspended one may have the hostname is decided where other teams' are known. */
export function judge(state: DomainState, proof: Proof, nowMs: number, limits: DomainLimits): DomainState {
  switch (state.kind) {
    case "pending":
      return proof === "there" ? { kind: "proven", provenAtMs: nowMs, seenAtMs: nowMs, missingSinceMs: null } : state;
    case "suspended":
      return proof === "there" ? { kind: "proven", provenAtMs: nowMs, seenAtMs: nowMs, missingSinceMs: null } : state;
    case "proven": {
      if (proof === "there") return { ...state, seenAtMs: nowMs, missingSinceMs: null };
      const gone = proof === "gone" || nowMs - state.seenAtMs >= limits.domainUnreadableMs;
      const missingSinceMs = state.missingSinceMs ?? (gone ? nowMs : null);
      if (gone && missingSinceMs !== null && nowMs - missingSinceMs >= limits.domainSuspendMs)
        return { kind: "suspended", provenAtMs: state.provenAtMs, sinceMs: nowMs };
      return { ...state, missingSinceMs };
    }
    default:
      return assertNever(state);
  }
}

/**
 * When the cron sweep looks again, after a look at nowMs; null: only when asked. blockedUntilMs: the hostname is another team's for
 * so long, however right the records are.
 */
export function nextCheckAtMs(
  state: DomainState,
  blockedUntilMs: number | null,
  nowMs: number,
  limits: DomainLimits,
): number | null {
  switch (state.kind) {
    case "proven":
      return nowMs + (state.missingSinceMs === null ? limits.domainRecheckMs : limits.domainFailingCheckMs);
    case "pending":
    case "suspended": {
      const waitedMs = nowMs - state.sinceMs;
      if (waitedMs >= limits.domainGiveUpMs) return null;
      const soon = nowMs + (waitedMs < limits.domainSoonForMs ? limits.domainCheckSoonMs : limits.domainCheckLaterMs);
      return Math.max(soon, blockedUntilMs ?? 0);
    }
    default:
      return assertNever(state);
  }
}

export const suspendAtMs = (state: DomainState, limits: DomainLimits): number | null =>
  state.kind === "proven" && state.missingSinceMs !== null ? state.missingSinceMs + limits.domainSuspendMs : null;
