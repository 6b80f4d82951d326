// Which effects are out and when each is repeated. Kept in volatile: after a restart everything that rows ask for is due again.

export interface Attempt {
  readonly tries: number;
  readonly retryAtMs: number;
}

/** A step's own copy; made at the first change. */
export interface Attempts {
  /** Whether the effect should be sent now; if so it counts as sent, and is repeated after a wait that doubles up to maxMs. */
  claim(key: string, waitMs: number, maxMs: number): boolean;
  /** It is done, or no longer wanted. */
  settle(key: string): void;
  /** Not before then. */
  postpone(key: string, retryAtMs: number): void;
  tries(key: string): number;
  /** It failed for certain: wait as a repetition would, from now. */
  failed(key: string, waitMs: number, maxMs: number): void;
  keys(): Iterable<string>;
  nextAtMs(): number | null;
  done(): ReadonlyMap<string, Attempt>;
}

export function attemptsOf(before: ReadonlyMap<string, Attempt>, nowMs: number): Attempts {
  let map = before;
  const writable = (): Map<string, Attempt> => {
    if (map === before) map = new Map(before);
    return map as Map<string, Attempt>;
  };
  const waitOf = (tries: number, waitMs: number, maxMs: number): number =>
    Math.min(Math.max(waitMs, maxMs), waitMs * 2 ** Math.min(Math.max(0, tries - 1), 20));
  return {
    claim(key, waitMs, maxMs) {
      const known = map.get(key);
      if (known && known.retryAtMs > nowMs) return false;
      const tries = (known?.tries ?? 0) + 1;
      writable().set(key, { tries, retryAtMs: nowMs + waitOf(tries, waitMs, maxMs) });
      return true;
    },
    settle(key) {
      if (map.has(key)) writable().delete(key);
    },
    postpone(key, retryAtMs) {
      writable().set(key, { tries: map.get(key)?.tries ?? 0, retryAtMs });
    },
    tries: (key) => map.get(key)?.tries ?? 0,
    failed(key, waitMs, maxMs) {
      const tries = Math.max(1, map.get(key)?.tries ?? 0);
      writable().set(key, { tries, retryAtMs: nowMs + waitOf(tries, waitMs, maxMs) });
    },
    keys: () => map.keys(),
    nextAtMs() {
      let next: number | null = null;
      for (const { retryAtMs } of map.values()) if (next === null || retryAtMs < next) next = retryAtMs;
      return next;
    },
    done: () => map,
  };
}

/** The earlier of times, where null is never. */
export function earliest(...times: readonly (number | null)[]): number | null {
  let first: number | null = null;
  for (const time of times) if (time !== null && (first === null || time < first)) first = time;
  return first;
}
