// The node credential is renewed well before it ends, so that no request has to wait for it.
import { decodeJwt } from "jose";
import type { Logger } from "pino";
import type { Identity } from "../state/identity.ts";
import type { Control } from "./control.ts";
import type { ControlClock } from "./control-clock.ts";
import { backoffMs, pause } from "./pause.ts";

/** At this share of its life. The rest is for a control plane that is away. */
const RENEW_AT_SHARE = 2 / 3;
/** Timers take at most 2^31 ms; and a clock that steps should be noticed. */
const LOOK_MS_MAX = 3_600_000;

export async function renewInTime(
  control: Control,
  identity: Identity,
  clock: ControlClock,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    const dueMs = renewalDueMs(identity.enrolled?.credential ?? "", clock.nowMs());
    if (dueMs > 0) {
      await pause(Math.min(dueMs, LOOK_MS_MAX), signal);
      continue;
    }
    try {
      await control.renew();
      failures = 0;
      log.info("the credential was renewed");
    } catch (error) {
      failures += 1;
      log.warn({ error: String(error), failures }, "the credential could not be renewed yet");
      await pause(backoffMs(failures, 1_000, 60_000, null), signal);
    }
  }
}

/** Milliseconds until the renewal of a credential is due; 0 for one that cannot be read. */
export function renewalDueMs(credential: string, nowMs: number): number {
  try {
    const { iat = 0, exp = 0 } = decodeJwt(credential);
    return Math.max(0, (iat + (exp - iat) * RENEW_AT_SHARE) * 1_000 - nowMs);
  } catch {
    return 0;
  }
}
