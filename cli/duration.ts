// Times as people write and read them: "90s", "15min"; 5.2 s, 3 min.
import { InvalidArgumentError } from "@commander-js/extra-typings";

const UNITS_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };

/** A time given on the command line, in milliseconds; anything else is a usage error that names the flag. */
export function duration(text: string): number {
  const match = /^(\d{1,9}(?:\.\d+)?)(ms|s|m|min|h)$/.exec(text.trim());
  const factor = UNITS_MS[match?.[2] ?? ""];
  if (match === null || factor === undefined) {
    throw new InvalidArgumentError('It must be a number and a unit, such as "90s" or "15min".');
  }
  return Math.round(Number(match[1]) * factor);
}

/** 5200 → `5.2 s`, 90000 → `90 s`, 900000 → `15 min`, 87000000 → `24 h 10 min`. */
export function shownMs(ms: number): string {
  if (ms < 10_000) return `${Number((ms / 1_000).toFixed(1))} s`;
  if (ms < 600_000) return `${Math.round(ms / 1_000)} s`;
  const minutes = Math.round(ms / 60_000);
  if (minutes < 120) return `${minutes} min`;
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
