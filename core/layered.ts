// A map that is written by making a new one, in which a write costs far less than a copy of it all.

/** Immutable. `recent` goes before `settled`; once there are many, they are settled. */
export interface Layered<Key, Value> {
  readonly settled: ReadonlyMap<Key, Value>;
  readonly recent: ReadonlyMap<Key, Value>;
}

/** About the square root of what a map holds (a Cell's 64 nodes): then copies of both layers cost the same per write. */
const RECENT_MAX = 8;

export const emptyLayered = <Key, Value>(): Layered<Key, Value> => ({ settled: new Map(), recent: new Map() });

export const layeredGet = <Key, Value>({ settled, recent }: Layered<Key, Value>, key: Key): Value | undefined =>
  recent.get(key) ?? settled.get(key);

/** A step's own copy, made at the first write; `before` stays as it is. */
export function layeredDraft<Key, Value>(before: Layered<Key, Value>) {
  let layers = before;
  let own: Map<Key, Value> | null = null;
  return {
    get: (key: Key): Value | undefined => layeredGet(layers, key),
    set(key: Key, value: Value): void {
      if (own === null) {
        const full = before.recent.size >= RECENT_MAX;
        own = full ? new Map() : new Map(before.recent);
        layers = { settled: full ? new Map([...before.settled, ...before.recent]) : before.settled, recent: own };
      }
      own.set(key, value);
    },
    done: (): Layered<Key, Value> => layers,
  };
}
