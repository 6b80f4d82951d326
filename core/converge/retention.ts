// Which images and bundles a node may remove when its disk fills, and in which order. Pure.

/** One image or bundle that is here. digests: by any of these it may be named. */
export interface Kept {
  readonly digests: readonly string[];
  readonly usedAtMs: number;
  /** Some container, running or not, is made of it. */
  readonly inUse: boolean;
  /** It was fetched from somewhere, so that it can be fetched again. */
  readonly fetched: boolean;
}

export interface RetentionInput<Item extends Kept> {
  readonly items: readonly Item[];
  /** Digests and references that the desired document names, and those of releases that a rollback may go to. */
  readonly protectedNames: ReadonlySet<string>;
  readonly nowMs: number;
  readonly unusedMinMs: number;
}

/** Least recently used first. Never what runs, what is named, what was used just now, or what could not be had again. */
export function removable<Item extends Kept>(input: RetentionInput<Item>): Item[] {
  const { items, protectedNames, nowMs, unusedMinMs } = input;
  return items
    .filter(({ digests, usedAtMs, inUse, fetched }) => {
      const named = digests.some((digest) => protectedNames.has(digest));
      return fetched && !inUse && !named && nowMs - usedAtMs >= unusedMinMs;
    })
    .sort((a, b) => a.usedAtMs - b.usedAtMs);
}

/** How full a disk is, in percent of what its users may take: blocks that are kept for root count as taken, as in df(1). */
export function usedPercent({ blocks, bfree, bavail }: { blocks: number; bfree: number; bavail: number }): number {
  const used = blocks - bfree;
  return used + bavail === 0 ? 0 : (100 * used) / (used + bavail);
}
