// Which backups are kept: the newest of each of the last days, weeks and months. Pure.
import { InvalidArgumentError } from "@commander-js/extra-typings";

export interface Keep {
  readonly days: number;
  readonly weeks: number;
  readonly months: number;
}
export interface Dated {
  readonly name: string;
  readonly atMs: number;
}

const UNITS = { d: "days", w: "weeks", m: "months" } as const;

/** `7d/4w/12m`, any of them. */
export function keepOf(text: string): Keep {
  const keep = { days: 0, weeks: 0, months: 0 };
  for (const part of text.split("/")) {
    const [, count, unit] = /^([1-9]\d{0,3})([dwm])$/.exec(part) ?? [];
    if (count === undefined)
      throw new InvalidArgumentError("Give for example 7d/4w: a backup of each of 7 days, and of each of 4 weeks.");
    keep[UNITS[unit as keyof typeof UNITS]] = Number(count);
  }
  return keep;
}

const DAY_MS = 86_400_000;

/** What goes. The newest always stays; days and weeks are UTC's, counted back from it, so that a pause of backups removes none. */
export function outdated<Item extends Dated>(items: readonly Item[], keep: Keep): Item[] {
  const newestFirst = items.toSorted((a, b) => b.atMs - a.atMs);
  const kept = new Set<Item>(newestFirst.slice(0, 1));
  const periods = [
    { count: keep.days, of: (atMs: number) => Math.floor(atMs / DAY_MS) },
    // 1970 began on a Thursday: weeks that begin on Mondays.
    { count: keep.weeks, of: (atMs: number) => Math.floor((atMs / DAY_MS + 3) / 7) },
    { count: keep.months, of: monthOf },
  ];
  for (const { count, of } of periods) {
    const seen = new Set<number>();
    for (const item of newestFirst) {
      if (seen.has(of(item.atMs))) continue;
      if (seen.size >= count) break;
      seen.add(of(item.atMs));
      kept.add(item);
    }
  }
  return newestFirst.filter((item) => !kept.has(item));
}

function monthOf(atMs: number): number {
  const at = new Date(atMs);
  return at.getUTCFullYear() * 12 + at.getUTCMonth();
}
