// Which statements Postgres keeps prepared. Those that every request asks cost it more to plan than to answer: a plan of five tables
// takes 2 ms, its answer 0.3. What is asked once only, or with another text each time, must not fill every connection's memory.

/** A statement is worth a plan of its own from here on: migrations and rare jobs never are. */
const ASKED_MIN = 5;
/** Of a role's pool. Each connection keeps the plans of those that it was asked, some tens of KiB each. */
const NAMES_MAX = 150;
/** The texts that are counted; the one not asked for longest is forgotten first. */
const COUNTED_MAX = 1_000;
/** Longer ones are lists of values written out. */
const TEXT_LENGTH_MAX = 16_384;

export class StatementNames {
  readonly #names = new Map<string, string>();
  readonly #asked = new Map<string, number>();
  #stopped = false;

  /** The name to prepare it under; undefined: it is to be planned this time only. */
  nameOf(text: string): string | undefined {
    if (this.#stopped) return undefined;
    const known = this.#names.get(text);
    if (known !== undefined || this.#names.size >= NAMES_MAX || text.length > TEXT_LENGTH_MAX) return known;
    const asked = (this.#asked.get(text) ?? 0) + 1;
    this.#asked.delete(text);
    if (asked >= ASKED_MIN) return this.#named(text);
    this.#asked.set(text, asked);
    if (this.#asked.size > COUNTED_MAX) {
      const [oldest] = this.#asked.keys();
      if (oldest !== undefined) this.#asked.delete(oldest);
    }
    return undefined;
  }

  /** Where connections do not keep what is prepared on them. */
  stop(): void {
    this.#stopped = true;
  }

  #named(text: string): string {
    const name = `berth_${this.#names.size}`;
    this.#names.set(text, name);
    return name;
  }
}
