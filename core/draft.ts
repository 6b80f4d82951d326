// A step's own view of an object's tables: reads through to what is durable, keeps its writes apart as row changes.
import type { Durable, RowChange } from "./step.ts";

const DROPPED = Symbol("dropped");

export interface Draft<Tables> {
  get<Table extends keyof Tables & string>(table: Table, key: string): Tables[Table] | undefined;
  put<Table extends keyof Tables & string>(table: Table, key: string, value: Tables[Table]): void;
  drop(table: keyof Tables & string, key: string): void;
  entries<Table extends keyof Tables & string>(table: Table): Iterable<[string, Tables[Table]]>;
  values<Table extends keyof Tables & string>(table: Table): Iterable<Tables[Table]>;
  /** In the order of first writing within a table. Empty when nothing was written. */
  changes(): RowChange<Tables>[];
}

/** Hears of every write that changes something, in order; undefined stands for no row. */
export type Watch<Tables> = <Table extends keyof Tables & string>(
  table: Table,
  key: string,
  before: Tables[Table] | undefined,
  after: Tables[Table] | undefined,
) => void;

export function draftOf<Tables>(durable: Durable<Tables>, watch?: Watch<Tables>): Draft<Tables> {
  const overlays = new Map<string, Map<string, unknown>>();
  const overlayOf = (table: string): Map<string, unknown> => {
    const known = overlays.get(table);
    if (known) return known;
    const made = new Map<string, unknown>();
    overlays.set(table, made);
    return made;
  };

  const draft: Draft<Tables> = {
    get(table, key) {
      const written = overlays.get(table)?.get(key);
      if (written === DROPPED) return undefined;
      return (written ?? durable[table].get(key)) as Tables[typeof table] | undefined;
    },
    put(table, key, value) {
      const before = draft.get(table, key);
      if (before === value) return;
      overlayOf(table).set(key, value);
      watch?.(table, key, before, value);
    },
    drop(table, key) {
      const before = watch && draft.get(table, key);
      if (durable[table].has(key)) overlayOf(table).set(key, DROPPED);
      else overlays.get(table)?.delete(key);
      if (before !== undefined) watch?.(table, key, before, undefined);
    },
    // Most tables are not written in a step: their own iterators are several times faster than a generator around them.
    entries(table) {
      const overlay = overlays.get(table);
      return overlay && overlay.size > 0 ? overlaid(durable[table], overlay) : durable[table];
    },
    values(table) {
      const overlay = overlays.get(table);
      return overlay && overlay.size > 0 ? valuesOf(overlaid(durable[table], overlay)) : durable[table].values();
    },
    changes() {
      const changes: unknown[] = [];
      for (const [table, overlay] of overlays) {
        for (const [key, value] of overlay) {
          changes.push(value === DROPPED ? { kind: "delete", table, key } : { kind: "put", table, key, value });
        }
      }
      return changes as RowChange<Tables>[];
    },
  };
  return draft;
}

/** Writes made while iterating are not seen twice: the overlay is read as it was at the start. */
function* overlaid<Row>(
  rows: ReadonlyMap<string, Row>,
  overlay: ReadonlyMap<string, unknown>,
): Iterable<[string, Row]> {
  const written = [...overlay];
  for (const entry of rows) if (!overlay.has(entry[0])) yield entry;
  for (const [key, value] of written) if (value !== DROPPED) yield [key, value as Row];
}

function* valuesOf<Row>(entries: Iterable<[string, Row]>): Iterable<Row> {
  for (const [, value] of entries) yield value;
}
