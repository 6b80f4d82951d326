// Which bundles each backup needs, in a file beside it: backups themselves cannot be read by whoever only makes them.
import { text } from "node:stream/consumers";
import { atMsOf } from "./names.ts";
import type { Store } from "./store.ts";

/** An index is there before its backup: of one that is being made, or was broken off, it counts so long. */
const UNFINISHED_MS = 7 * 86_400_000;

/** backup: its name. */
export const indexOf = (backup: string): string => backup.replace(/\.age$/, ".bundles");
const backupOf = (index: string): string => index.replace(/\.bundles$/, ".age");

/**
 * What one look at the indices says holds for so long: then they are looked at again before anything else is removed. Whoever makes a backup
 * meanwhile tells first, then waits for longer than this, and then looks whether all of it is still there (copy-bundles.ts): what went away
 * under it is copied once more. So of two at the same moment neither loses a bundle, as long as a removal takes no longer than the rest of that wait.
 */
const LOOK_HOLDS_MS = 1_000;
export const TOLD_MS = 4 * LOOK_HOLDS_MS;
/** A store whose indices cannot be listed within that time keeps its bundles until the next time. */
const LOOKS_MAX = 3;

/** Removes bundles that no backup needs. What backups that are being made elsewhere need is known before it is there. */
export async function forgetBundles(
  store: Store,
  nowMs: number,
  monotonicMs: () => number = () => performance.now(),
): Promise<void> {
  const bundles = (await store.list("bundles/")).filter((name) => /\/[0-9a-f]{64}\.age$/.test(name));
  const indices = new Indices(store, nowMs);
  let lookedAtMs = -Infinity;
  for (const name of bundles) {
    for (let looks = 0; monotonicMs() - lookedAtMs > LOOK_HOLDS_MS; looks += 1) {
      if (looks === LOOKS_MAX) return;
      lookedAtMs = monotonicMs();
      await indices.look();
    }
    if (!indices.needed.has(name)) await store.remove(name);
  }
}

class Indices {
  /** Bundles, by their names in the store. */
  readonly needed = new Set<string>();
  readonly #store: Store;
  readonly #nowMs: number;
  /** They never change once they are there. */
  readonly #read = new Set<string>();

  constructor(store: Store, nowMs: number) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  async look(): Promise<void> {
    const names = new Set(await this.#store.top());
    for (const name of names) {
      const atMs = name.endsWith(".bundles") ? atMsOf(backupOf(name)) : null;
      if (atMs === null || this.#read.has(name)) continue;
      if (names.has(backupOf(name)) || this.#nowMs - atMs <= UNFINISHED_MS) {
        this.#read.add(name);
        for (const line of (await text(await this.#store.get(name))).split("\n")) this.needed.add(`bundles/${line}`);
      } else {
        await this.#store.remove(name);
      }
    }
  }
}
