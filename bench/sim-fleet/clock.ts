// The host's clock, which all processes of a benchmark share.

/** Milliseconds since the epoch with fractions. */
export function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}
