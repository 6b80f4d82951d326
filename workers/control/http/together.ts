// Requests that want the same of the same thing at the same time ask for it together: while one asks, the others wait, and the next one of
// them asks for all. Under load that is one call where there were as many as there are connections; alone nobody waits.
import { DatabaseUnavailable } from "../../../db/errors.ts";
import { within } from "../../within.ts";

type Turn<Share> =
  | { readonly kind: "lead" }
  | { readonly kind: "alone" }
  | { readonly kind: "share"; readonly share: Share }
  | { readonly kind: "fault"; readonly error: unknown };
interface Waiting<Item, Share> {
  readonly item: Item;
  call: (turn: Turn<Share>) => void;
}
type Line<Item, Share> = Waiting<Item, Share>[];

/** Of a request: what keeps it alive until its turn came, though its client may have gone. */
interface Living {
  waitUntil(promise: Promise<unknown>): void;
}

export interface TogetherOptions<Item, Share> {
  /**
   * Resolves with one share for each item, in their order. Where it fails for several, each asks by itself, so that none fails for what
   * another one asked; a database that is away is away for all of them.
   */
  readonly ask: (items: readonly Item[]) => Promise<readonly Share[]>;
  readonly itemsMax: number;
  /** After so long in line a request asks by itself: whoever was to ask for it may be gone. */
  readonly patienceMs: number;
}

/**
 * Each call is made by a request in its own context, whose turn it then is: workerd ties a call to the request that made it. Each that waits
 * has a timer of its own, because workerd takes a request that waits for another one's promise alone for hung.
 */
export class Together<Item, Share> {
  readonly #lines = new Map<string, Line<Item, Share>>();

  /** key: of what is asked about. Rejects as `ask` does. */
  async take(key: string, item: Item, living: Living, options: TogetherOptions<Item, Share>): Promise<Share> {
    const line = this.#lines.get(key);
    if (line === undefined) {
      const begun: Line<Item, Share> = [];
      this.#lines.set(key, begun);
      return this.#lead(key, begun, item, living, options);
    }
    const waiting: Waiting<Item, Share> = { item, call: () => undefined };
    const called = new Promise<Turn<Share>>((resolve) => (waiting.call = resolve));
    line.push(waiting);
    const turn = within(options.patienceMs, called);
    // Whoever is next must be there when it is called, or nobody would be after it.
    living.waitUntil(turn);
    const taken = (await turn) ?? this.#outOfPatience(key, line, waiting);
    if (taken.kind === "share") return taken.share;
    if (taken.kind === "fault") throw taken.error;
    return taken.kind === "lead" ? this.#lead(key, line, item, living, options) : askAlone(item, options);
  }

  /** Nobody moves this line any more, or not in time: whoever comes next begins another one. */
  #outOfPatience(key: string, line: Line<Item, Share>, waiting: Waiting<Item, Share>): Turn<Share> {
    const at = line.indexOf(waiting);
    if (at >= 0) line.splice(at, 1);
    this.#leave(key, line);
    return { kind: "alone" };
  }

  #leave(key: string, line: Line<Item, Share>): void {
    if (this.#lines.get(key) === line) this.#lines.delete(key);
  }

  #lead(
    key: string,
    line: Line<Item, Share>,
    item: Item,
    living: Living,
    options: TogetherOptions<Item, Share>,
  ): Promise<Share> {
    const others = line.splice(0, options.itemsMax - 1);
    const led = (async (): Promise<Share> => {
      try {
        const [own, ...shares] = await options.ask([item, ...others.map((other) => other.item)]);
        for (const [at, other] of others.entries()) other.call({ kind: "share", share: shares[at] as Share });
        return own as Share;
      } catch (error) {
        if (others.length === 0) throw error;
        if (error instanceof DatabaseUnavailable) {
          for (const other of others) other.call({ kind: "fault", error });
          throw error;
        }
        for (const other of others) other.call({ kind: "alone" });
        return await askAlone(item, options);
      } finally {
        const next = line.shift();
        if (next === undefined) this.#leave(key, line);
        else next.call({ kind: "lead" });
      }
    })();
    living.waitUntil(led.catch(() => undefined));
    return led;
  }
}

async function askAlone<Item, Share>(item: Item, { ask }: TogetherOptions<Item, Share>): Promise<Share> {
  const [own] = await ask([item]);
  return own as Share;
}
