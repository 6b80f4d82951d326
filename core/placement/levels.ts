// Levels of an amount: narrow where it is small and wide where it is large, so that a level is the same share of it everywhere.

/**
 * A packed fleet has most of its nodes among the smallest leftovers: levels of one width would hold hundreds of nodes there
 * and none elsewhere.
 */
export interface Levels {
  readonly last: number;
  /** The least amount of each level, and at the end Infinity. */
  readonly lows: Float64Array;
  readonly perUnit: number;
  readonly bits: number;
}

/** unit: a power of two; smaller amounts are all on level 0. bits: each doubling above is cut into 2^bits levels. */
export function levelsUpTo(max: number, unit: number, bits: number): Levels {
  const last = rawLevel(Math.floor(max / unit), bits);
  const lows = Float64Array.from({ length: last + 2 }, (_, level) =>
    level > last ? Infinity : lowOf(level, bits) * unit,
  );
  return { last, lows, perUnit: 1 / unit, bits };
}

/** For what is only ever scanned. */
export const ONE_LEVEL: Levels = { last: 0, lows: Float64Array.of(0, Infinity), perUnit: 0, bits: 0 };

/** What is over-committed is on level 0; beyond the highest level is on it. */
export function levelOf({ last, lows, perUnit, bits }: Levels, amount: number): number {
  if (amount >= lows[last]!) return last;
  return amount > 0 ? rawLevel((amount * perUnit) | 0, bits) : 0;
}

function rawLevel(units: number, bits: number): number {
  const exponent = 31 - Math.clz32(units);
  if (exponent < bits) return units;
  const shift = exponent - bits;
  return ((shift + 1) << bits) + ((units >>> shift) - (1 << bits));
}

function lowOf(level: number, bits: number): number {
  const octave = level >> bits;
  return octave === 0 ? level : ((1 << bits) + (level & ((1 << bits) - 1))) * 2 ** (octave - 1);
}
