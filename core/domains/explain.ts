// A domain in words: which record has to be where, what is there instead, how long a correction takes; and its status in a sentence.
import type { Domain, DomainCertificate, DomainInstruction, Findings, Lookup } from "../../contracts/domains.ts";
import { assertNever } from "../step.ts";
import { pointerName, proofName, proofValue, WILDCARD } from "./hostname.ts";
import { pointingOf, proofIn, type DomainState, type Pointing } from "./judge.ts";

export interface Subject {
  readonly hostname: string;
  readonly token: string;
  /** What the hostname has to be an alias of. */
  readonly target: string;
  /** null: nobody looked yet. */
  readonly findings: Findings | null;
}

export function instructionsOf(subject: Subject, certificate: DomainCertificate | null): DomainInstruction[] {
  return [ownership(subject), traffic(subject), ...forCertificate(certificate)];
}

function ownership({ hostname, token, findings }: Subject): DomainInstruction {
  const name = proofName(hostname);
  const value = proofValue(token);
  const line = { purpose: "ownership", type: "TXT", name, value } as const;
  if (findings === null)
    return { ...line, ok: false, found: [], waitSeconds: null, text: `Create TXT ${name} with the value ${value}.` };
  if (proofIn(findings, token) === "there") return { ...line, ok: true, found: [value], waitSeconds: null, text: "" };
  return { ...line, ok: false, ...found(findings.proof), text: proofText(name, value, findings) };
}

function proofText(name: string, value: string, { proof, doubled }: Findings): string {
  switch (proof.kind) {
    case "failed":
      return `Nobody could say whether TXT ${name} is there: ${proof.message}. Nothing is decided by that; it is tried again.`;
    case "records":
      return (
        `TXT ${name} is ${listed(proof.records)}, and ${value} is not among them. ` +
        `Add it as a further value, or replace the wrong one.${wait(proof.ttlSeconds)}`
      );
    case "absent":
      if (doubled !== null) {
        const entered = name.slice(0, -(proof.zone ?? "").length - 1);
        return (
          `The record is at ${doubled}: your DNS provider puts ${proof.zone ?? "the zone"} behind the name by itself. ` +
          `Rename it to ${entered}.${wait(proof.ttlSeconds)}`
        );
      }
      return `There is no TXT at ${name}. Create it with the value ${value}${inZone(name, proof.zone)}.${wait(proof.ttlSeconds)}`;
    default:
      return assertNever(proof);
  }
}

function traffic({ hostname, token, target, findings }: Subject): DomainInstruction {
  const line = { purpose: "traffic", type: "CNAME", name: hostname, value: target } as const;
  if (findings === null)
    return {
      ...line,
      ok: false,
      found: [],
      waitSeconds: null,
      text: `Create CNAME ${hostname} with the value ${target}.`,
    };
  const pointing = pointingOf(findings, target);
  if (pointing === "here") return { ...line, ok: true, found: [target], waitSeconds: null, text: "" };
  const { pointer, addresses } = findings;
  const seen = pointer.kind === "records" || addresses === null ? pointer : addresses;
  const looked = hostname.startsWith(WILDCARD) ? ` (seen at ${pointerName(hostname, token)})` : "";
  return { ...line, ok: false, ...found(seen), text: pointerText(hostname, target, pointing, seen) + looked };
}

function pointerText(hostname: string, target: string, pointing: Pointing, seen: Lookup): string {
  switch (pointing) {
    case "here":
      return "";
    case "unknown":
      return `Nobody could say where ${hostname} leads${seen.kind === "failed" ? `: ${seen.message}` : ""}. It is tried again.`;
    case "elsewhere":
      return (
        `${hostname} leads to ${listed(seen.kind === "records" ? seen.records : [])} instead of ${target}. Make it a CNAME to ${target}; ` +
        `at the top of a zone, where no CNAME may be, an ALIAS or ANAME to it.${wait(ttlOf(seen))}`
      );
    case "nowhere":
      return (
        `${hostname} leads nowhere. Create CNAME ${hostname} with the value ${target}` +
        `${inZone(hostname, seen.kind === "absent" ? seen.zone : null)}.${wait(ttlOf(seen))}`
      );
    default:
      return assertNever(pointing);
  }
}

function forCertificate(certificate: DomainCertificate | null): DomainInstruction[] {
  if (certificate === null || certificate.status === "active") return [];
  return certificate.records.map(({ name, value }) => ({
    purpose: "certificate",
    type: "TXT",
    name,
    value,
    ok: false,
    found: [],
    waitSeconds: null,
    text: `The certificate's issuer waits for TXT ${name} with the value ${value}.`,
  }));
}

const found = (lookup: Lookup): { found: string[]; waitSeconds: number | null } => ({
  found: lookup.kind === "records" ? [...lookup.records] : [],
  waitSeconds: ttlOf(lookup),
});
const ttlOf = (lookup: Lookup): number | null => (lookup.kind === "failed" ? null : lookup.ttlSeconds);

/** Most providers ask for the name without the zone, and take what is typed beyond it for a part of the name. */
function inZone(name: string, zone: string | null): string {
  if (zone === null) return "";
  if (name === zone) return ` (in the zone ${zone} its name is @)`;
  return name.endsWith(`.${zone}`) ? ` (in the zone ${zone} its name is ${name.slice(0, -zone.length - 1)})` : "";
}

const SHOWN_MAX = 4;
function listed(records: readonly string[]): string {
  const shown = records.slice(0, SHOWN_MAX).map((record) => (record === "" ? '""' : record));
  const more = records.length - shown.length;
  return more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(", ");
}

function wait(ttlSeconds: number | null): string {
  if (ttlSeconds === null) return "";
  return ` Resolvers may remember what they saw for ${duration(ttlSeconds)}.`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.ceil(seconds / 60)} min`;
  return `${Math.ceil(seconds / 3_600)} h`;
}

/** Another team has it, or had it until a little while ago. */
export type Blocked = { readonly reason: "taken" } | { readonly reason: "rests"; readonly untilMs: number };

export function statusOf(
  state: DomainState,
  blocked: Blocked | null,
  { target, findings }: Pick<Subject, "target" | "findings">,
): Pick<Domain, "status" | "message"> {
  switch (state.kind) {
    case "pending":
    case "suspended":
      if (blocked !== null) return { status: "blocked", message: blockedText(blocked) };
      return state.kind === "pending"
        ? { status: "pending", message: "Waiting for the TXT record that proves that it is yours." }
        : {
            status: "suspended",
            message: "It serves nobody: the proof that it is yours stayed away. Restore it, then verify.",
          };
    case "proven":
      if (state.missingSinceMs !== null)
        return {
          status: "failing",
          message: "It still serves, but the proof that it is yours is gone: restore the TXT record.",
        };
      return findings !== null && pointingOf(findings, target) === "here"
        ? { status: "active", message: "It serves." }
        : { status: "proven", message: "It is yours, and serves what arrives; but DNS does not lead visitors here." };
    default:
      return assertNever(state);
  }
}

export const blockedText = (blocked: Blocked): string =>
  blocked.reason === "taken"
    ? "It belongs to another team, which has to remove it first."
    : `Another team gave it up a short while ago: it rests until ${new Date(blocked.untilMs).toISOString()}.`;
