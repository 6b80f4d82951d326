// How often somebody may be wrong with a password: by the address that asks, and by the account that is asked about. An attempt counts as
// wrong from its beginning until it has succeeded, so that a thousand at once are no more than one after the other.

export interface Attempt {
  readonly id: string;
  /** Of an account: the address it came from, hashed; null where nobody knows it. */
  readonly from: string | null;
  readonly atMs: number;
}

/** At most attemptsKept attempts, the newest; known: addresses from which the account was signed in to. */
export interface SignIns {
  readonly attempts: readonly Attempt[];
  readonly known: readonly { readonly from: string; readonly atMs: number }[];
  /** Strangers' attempts are let one after the other: until then the last of them waits. */
  readonly queueEndsAtMs: number;
}
export const NO_SIGN_INS: SignIns = { attempts: [], known: [], queueEndsAtMs: 0 };

export interface SignInLimits {
  readonly failuresMax: number;
  readonly windowMs: number;
  readonly knownMs: number;
  readonly knownMax: number;
  readonly spacingMs: number;
  readonly crowdedSpacingMs: number;
  readonly crowdedFrom: number;
  readonly waitMaxMs: number;
}

export const SIGN_IN_LIMITS: SignInLimits = {
  /** A person who does not remember tries two or three; OWASP's ASVS asks for some such bound. */
  failuresMax: 5,
  windowMs: 15 * 60_000,
  /** Whoever signed in from there within a quarter is no stranger; home connections keep their address about as long. */
  knownMs: 90 * 86_400_000,
  /** Home, office, phone, a few journeys and the build machines. */
  knownMax: 16,
  /** Strangers together, after their first five: a guess every two seconds; and every ten once it is plain what they do: 8,640 a day. */
  spacingMs: 2_000,
  crowdedSpacingMs: 10_000,
  crowdedFrom: 20,
  /** Nobody sits in front of a sign-in for longer; clients' time-outs begin above. */
  waitMaxMs: 10_000,
};

/** let: go on, after waitMs. */
export type Verdict =
  { readonly kind: "let"; readonly waitMs: number } | { readonly kind: "refused"; readonly retryAfterMs: number };
export interface Begun {
  readonly state: SignIns;
  readonly verdict: Verdict;
}
interface Try {
  readonly id: string;
  readonly from: string | null;
  readonly nowMs: number;
}

/** Everybody at an address shares its failures. */
export function beginAtAddress(before: SignIns, { id, nowMs }: Try, limits: SignInLimits): Begun {
  const state = recent(before, nowMs, limits);
  return counted(state, { id, from: null, atMs: nowMs }, state.attempts, limits);
}

/**
 * Addresses from which the account was signed in to have failures of their own, so that strangers never lock its owner out. Strangers
 * share theirs over all of their addresses, and after a few have to wait, one after the other: an owner on a new device gets in, late.
 */
export function beginAtAccount(before: SignIns, { id, from, nowMs }: Try, limits: SignInLimits): Begun {
  const state = recent(before, nowMs, limits);
  const attempt = { id, from, atMs: nowMs };
  if (isKnown(state, from)) {
    const own = state.attempts.filter((other) => other.from === from);
    return counted(state, attempt, own, limits);
  }
  const strangers = state.attempts.filter((other) => !isKnown(state, other.from)).length;
  if (strangers < limits.failuresMax)
    return { state: withAttempt(state, attempt), verdict: { kind: "let", waitMs: 0 } };
  const spacingMs = strangers < limits.crowdedFrom ? limits.spacingMs : limits.crowdedSpacingMs;
  const turnAtMs = Math.max(nowMs, state.queueEndsAtMs) + spacingMs;
  const waitMs = turnAtMs - nowMs;
  if (waitMs > Math.max(limits.waitMaxMs, spacingMs))
    return { state, verdict: { kind: "refused", retryAfterMs: waitMs - limits.waitMaxMs } };
  return { state: { ...withAttempt(state, attempt), queueEndsAtMs: turnAtMs }, verdict: { kind: "let", waitMs } };
}

export const isKnown = (state: SignIns, from: string | null): boolean =>
  from !== null && state.known.some((known) => known.from === from);

/** known: it was the right password, so that its address is the owner's. Absent: it was no failure, and proves nothing. */
export function endSignIn(
  before: SignIns,
  { id, known, nowMs }: { id: string; known: string | null; nowMs: number },
  limits: SignInLimits,
): SignIns {
  const attempts = before.attempts.filter((attempt) => attempt.id !== id);
  if (known === null) return { ...before, attempts };
  const others = before.known.filter(({ from }) => from !== known);
  return { ...before, attempts, known: [{ from: known, atMs: nowMs }, ...others].slice(0, limits.knownMax) };
}

function counted(state: SignIns, attempt: Attempt, failures: readonly Attempt[], limits: SignInLimits): Begun {
  if (failures.length < limits.failuresMax) {
    return { state: withAttempt(state, attempt), verdict: { kind: "let", waitMs: 0 } };
  }
  const freeing = failures[failures.length - limits.failuresMax]!;
  return {
    state,
    verdict: { kind: "refused", retryAfterMs: Math.max(1, freeing.atMs + limits.windowMs - attempt.atMs) },
  };
}

/** Strangers are let at most one every spacingMs, so there are never more of them within the window than this. */
const ATTEMPTS_KEPT = 600;

const withAttempt = (state: SignIns, attempt: Attempt): SignIns => ({
  ...state,
  attempts: [...state.attempts, attempt].slice(-ATTEMPTS_KEPT),
});

function recent(state: SignIns, nowMs: number, { windowMs, knownMs }: SignInLimits): SignIns {
  return {
    ...state,
    attempts: state.attempts.filter(({ atMs }) => atMs + windowMs > nowMs),
    known: state.known.filter(({ atMs }) => atMs + knownMs > nowMs),
  };
}
