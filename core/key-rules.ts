// When a key may be taken into use and when an old one may go: what holds it, in words. And which keys are in use for too long.
import type { KeyHold, KeyKind } from "../contracts/keys.ts";

const [DAY_MS, HOUR_MS] = [86_400_000, 3_600_000];

/**
 * In use for longer, a key's age is an alarm. kek, ticket, credential, session: a year, as NIST SP 800-57 (5.3.6) has it for keys that
 * sign or wrap online; backup: the recipient's private half is kept offline, and older backups need it: two years.
 */
const AGE_MAX_MS: Readonly<Record<KeyKind, number>> = {
  kek: 365 * DAY_MS,
  ticket: 365 * DAY_MS,
  credential: 365 * DAY_MS,
  session: 365 * DAY_MS,
  backup: 730 * DAY_MS,
};

/**
 * How long what an old key made may still be shown. ticket: a signed link or header lives a day. kek: idempotency keys are held
 * against hashes by it for a day. session: a session lives 30 days. credential: asked of the nodes themselves.
 */
const OVERLAP_MS: Readonly<Record<KeyKind, number>> = {
  kek: 25 * HOUR_MS,
  ticket: 25 * HOUR_MS,
  credential: 0,
  session: 30 * DAY_MS,
  backup: 0,
};

export interface KeyFacts {
  readonly kind: KeyKind;
  readonly createdAtMs: number;
  readonly replacedAtMs: number | null;
}

export interface Around {
  readonly nowMs: number;
  /** Until every Worker has heard of a change. */
  readonly spreadMs: number;
  /** Names of nodes that have not the prepared ticket key, or whose credential is by an older key. */
  readonly nodesWithout: readonly string[];
  /** Of the sweep under the key-encryption key in use; null: none. */
  readonly sweep: { readonly startedAtMs: number; readonly endedAtMs: number | null; readonly failed: number } | null;
}

export const isOld = (kind: KeyKind, sinceMs: number, nowMs: number): boolean => nowMs - sinceMs > AGE_MAX_MS[kind];

/** Why the prepared key cannot be used yet; null: it can. */
export function activationHold({ kind, createdAtMs }: KeyFacts, around: Around): KeyHold | null {
  const heardMs = createdAtMs + around.spreadMs;
  if (around.nowMs < heardMs) return { message: "Not every Worker may have heard of it yet.", untilMs: heardMs };
  if (kind === "ticket" && around.nodesWithout.length > 0)
    return { message: `These nodes do not trust it yet: ${listed(around.nodesWithout)}.`, untilMs: null };
  return null;
}

/** Why an old key is needed still; null: it is not. */
export function retirementHold({ kind, replacedAtMs }: KeyFacts, around: Around): KeyHold | null {
  // It was prepared and never used: nothing can be by it.
  if (replacedAtMs === null) return null;
  const untilMs = replacedAtMs + around.spreadMs + OVERLAP_MS[kind];
  if (kind === "kek") {
    const swept = sweptFault(replacedAtMs + around.spreadMs, around);
    if (swept !== null) return { message: swept, untilMs: null };
  }
  if (kind === "credential" && around.nodesWithout.length > 0)
    return { message: `These nodes hold a credential by it: ${listed(around.nodesWithout)}.`, untilMs: null };
  return around.nowMs < untilMs ? { message: "What it made may still be shown.", untilMs } : null;
}

function sweptFault(lastUsedMs: number, { sweep }: Around): string | null {
  if (sweep === null || sweep.startedAtMs < lastUsedMs)
    return "What is stored was not wrapped anew since it was replaced.";
  if (sweep.endedAtMs === null) return "What is stored is still being wrapped anew.";
  return sweep.failed > 0 ? `${sweep.failed} stored values could not be opened.` : null;
}

const SHOWN_MAX = 10;
function listed(names: readonly string[]): string {
  const more = names.length - SHOWN_MAX;
  return `${names.slice(0, SHOWN_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
