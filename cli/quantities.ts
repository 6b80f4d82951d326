// Amounts as people write them in berth.toml: "256MB", "2s".
import { z } from "zod";

const SIZES: Record<string, number> = {
  b: 1,
  kb: 1024,
  mb: 1024 ** 2,
  gb: 1024 ** 3,
  tb: 1024 ** 4,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
};
const TIMES: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };

/** A number with a unit out of `units`, as the smallest unit. */
function quantity(units: Record<string, number>, example: string) {
  return z.string().transform((text, issues) => {
    const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text.trim());
    const factor = match === null ? undefined : units[(match[2] ?? "").toLowerCase()];
    if (match === null || factor === undefined) {
      issues.addIssue({ code: "custom", message: `must be a number and a unit, such as "${example}"` });
      return z.NEVER;
    }
    return Math.round(Number(match[1]) * factor);
  });
}
export const size = quantity(SIZES, "256MB");
export const duration = quantity(TIMES, "2s");
