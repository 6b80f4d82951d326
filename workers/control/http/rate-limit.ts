// How many requests a customer may make: judged by the RateLimit object, beside the request where speed matters.
import type { ControlEnv } from "../env.ts";
import { fail } from "./problem.ts";

/** Generous: a person or a pipeline stays far below; a loop gone wild is stopped within the minute. */
const API_REQUESTS_PER_MINUTE = 1_200;
/** Guessing passwords must be slow; a class of students behind one address must still get in. */
const SIGN_INS_PER_MINUTE = 60;
/** Blocked customers that an isolate remembers; each for a minute at most. */
const BLOCKED_MAX = 10_000;

const blockedUntilMs = new Map<string, number>();

/**
 * Never waits for the object: its answer holds for the requests after this one, so that limiting costs the deploy path
 * nothing. What slips through is what one isolate had in flight when the limit was reached.
 */
export function limitRequests(env: ControlEnv, team: string, later: (work: Promise<unknown>) => void): void {
  const until = blockedUntilMs.get(team);
  if (until !== undefined) {
    const leftMs = until - Date.now();
    if (leftMs > 0) fail("rate_limited", "Too many requests of this team in this minute.", { retryAfterMs: leftMs });
    blockedUntilMs.delete(team);
  }
  const limitPerMinute = tuned(env, "apiRequestsPerMinute", API_REQUESTS_PER_MINUTE);
  later(
    env.RATE_LIMIT.getByName(`team:${team}`)
      .take({ limitPerMinute, cost: 1 })
      .then((answer) => {
        if (!answer.ok || answer.value.allowed) return;
        if (blockedUntilMs.size >= BLOCKED_MAX) blockedUntilMs.clear();
        blockedUntilMs.set(team, answer.value.resetAtMs);
      })
      // A limiter that is away limits nobody.
      .catch(() => undefined),
  );
}

/** Before a password is looked at, and waited for: by the address that asks and by the account that is asked about. */
export async function limitSignIns(env: ControlEnv, request: Request, account: string): Promise<void> {
  const limitPerMinute = tuned(env, "signInsPerMinute", SIGN_INS_PER_MINUTE);
  const address = request.headers.get("cf-connecting-ip") ?? "unknown";
  const names = [`address:${address}`, `account:${account.toLowerCase()}`];
  const answers = await Promise.all(
    names.map((name) =>
      env.RATE_LIMIT.getByName(name)
        .take({ limitPerMinute, cost: 1 })
        .catch(() => null),
    ),
  );
  for (const answer of answers) {
    if (answer?.ok && !answer.value.allowed) {
      const retryAfterMs = answer.value.resetAtMs - Date.now();
      fail("rate_limited", "Too many attempts to sign in; wait a minute.", { retryAfterMs });
    }
  }
}

function tuned(env: ControlEnv, name: string, standard: number): number {
  if (!env.TUNING) return standard;
  const value = (JSON.parse(env.TUNING) as Record<string, unknown>)[name];
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : standard;
}
