// A small authoritative zone: records by name and type, wildcards and aliases, and what an answer looks like where there is nothing.

/** TXT: one text a record; CNAME, A, AAAA: one name or address each. */
export interface ZoneRecord {
  readonly name: string;
  readonly type: "TXT" | "CNAME" | "A" | "AAAA";
  readonly value: string;
  readonly ttlSeconds: number;
}

export interface Found {
  /** The name exists, with records of whichever type. */
  readonly exists: boolean;
  /** Aliases on the way and the records at its end, in order. */
  readonly records: readonly ZoneRecord[];
}

const ALIASES_MAX = 8;

export class Zone {
  /** As in `example.test`: what it has authority over. */
  readonly name: string;
  /** How long resolvers may remember that there is nothing. */
  readonly negativeTtlSeconds: number;
  readonly #records: ZoneRecord[] = [];

  constructor(name: string, { negativeTtlSeconds = 300 }: { negativeTtlSeconds?: number } = {}) {
    this.name = name;
    this.negativeTtlSeconds = negativeTtlSeconds;
  }

  /** In place of all records of that name and type; without values they are gone. */
  set(name: string, type: ZoneRecord["type"], values: readonly string[], ttlSeconds = 300): void {
    const kept = this.#records.filter((record) => record.name !== name || record.type !== type);
    this.#records.splice(0, Infinity, ...kept, ...values.map((value) => ({ name, type, value, ttlSeconds })));
  }

  list(): readonly ZoneRecord[] {
    return [...this.#records];
  }

  has(name: string): boolean {
    return name === this.name || name.endsWith(`.${this.name}`);
  }

  find(name: string, type: string): Found {
    const records: ZoneRecord[] = [];
    let at = name;
    for (let steps = 0; steps < ALIASES_MAX; steps += 1) {
      const own = this.#at(at);
      if (own === null) return { exists: steps > 0, records };
      const wanted = own.filter((record) => record.type === type);
      records.push(...wanted);
      const alias = own.find((record) => record.type === "CNAME");
      if (wanted.length > 0 || alias === undefined) return { exists: true, records };
      records.push(alias);
      at = alias.value;
    }
    return { exists: true, records };
  }

  /** Null: there is no such name. A wildcard answers for names that are not there themselves, nor have others below them. */
  #at(name: string): ZoneRecord[] | null {
    const own = this.#records.filter((record) => record.name === name);
    if (own.length > 0) return own;
    if (name === this.name || this.#records.some((record) => record.name.endsWith(`.${name}`))) return [];
    const above = name.slice(name.indexOf(".") + 1);
    const wild = this.#records.filter((record) => record.name === `*.${above}`);
    return wild.length === 0 ? null : wild.map((record) => ({ ...record, name }));
  }
}
