// The shape of every deciding function of an object: state in, row changes and effects out. Nothing happens here.

/** Where a step stands in time and chance; both come from the shell (or the simulator), never from within. */
export interface At {
  readonly nowMs: number;
  /** 32 random hexadecimal digits, fresh for each step; ids and tie-breaks are derived from it. */
  readonly seed: string;
}

/** One change to an object's durable tables. Values are plain JSON; a shell stores them as rows (table, key, value). */
export type RowChange<Tables> = {
  readonly [Table in keyof Tables & string]:
    | { readonly kind: "put"; readonly table: Table; readonly key: string; readonly value: Tables[Table] }
    | { readonly kind: "delete"; readonly table: Table; readonly key: string };
}[keyof Tables & string];

/** An object's durable state in memory: one map per table. Steps read it and never write it; shells apply the changes. */
export type Durable<Tables> = { readonly [Table in keyof Tables]: ReadonlyMap<string, Tables[Table]> };

/**
 * What a step decided. A shell applies rowChanges in one transaction, replaces volatile, then runs the effects in order.
 * Effects may be lost in a crash: whatever must survive one is a row first (calls, events, schedule) and the effect only
 * says "look at it now". wakeAtMs: when the object must be stepped again with a `tick`, null if nothing is due.
 */
export interface Decision<Tables, Volatile, Effect, Reply> {
  readonly rowChanges: readonly RowChange<Tables>[];
  readonly volatile: Volatile;
  readonly effects: readonly Effect[];
  readonly reply: Reply;
  readonly wakeAtMs: number | null;
}

export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
