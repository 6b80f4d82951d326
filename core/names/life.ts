// When a certificate is to be renewed, and when somebody must hear that it was not.

export interface Life {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface LifeLimits {
  readonly certificateRenewPercent: number;
  readonly certificateJitterPercent: number;
  readonly certificateAlarmPercent: number;
}

/** spread: in [0, 1), fixed for one certificate: those that were issued together are renewed apart, and earlier, never later. */
export function renewAtMs({ notBeforeMs, notAfterMs }: Life, spread: number, limits: LifeLimits): number {
  const share = (limits.certificateRenewPercent - spread * limits.certificateJitterPercent) / 100;
  return notBeforeMs + (notAfterMs - notBeforeMs) * share;
}

export type Standing = "not yet valid" | "valid" | "expiring" | "expired";

export function standingOf({ notBeforeMs, notAfterMs }: Life, nowMs: number, limits: LifeLimits): Standing {
  if (nowMs < notBeforeMs) return "not yet valid";
  if (nowMs >= notAfterMs) return "expired";
  const leftShare = (notAfterMs - nowMs) / (notAfterMs - notBeforeMs);
  return leftShare * 100 <= limits.certificateAlarmPercent ? "expiring" : "valid";
}
