// How likely something is by chance alone, in words: the same in a verdict's reason and wherever its numbers are shown.

const LEAST = 1e-12;

/** Of a bound of 0 to 1: `by chance alone: at most 1 in 250,000`. */
export function chanceText(bound: number): string {
  const chance = Math.max(LEAST, bound);
  return `by chance alone: at most 1 in ${String(Math.max(1, Math.round(1 / chance))).replace(/\B(?=(\d{3})+$)/g, ",")}`;
}
