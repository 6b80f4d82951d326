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

export function draftOf<Tables>(durable: Durable<Tables>): Draft<Tables> {
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
      if (draft.get(table, key) !== value) overlayOf(table).set(key, value);
    },
    drop(table, key) {
      if (durable[table].has(key)) overlayOf(table).set(key, DROPPED);
      else overlays.get(table)?.delete(key);
    },
    *entries<Table extends keyof Tables & string>(table: Table): Iterable<[string, Tables[Table]]> {
      const overlay = overlays.get(table);
      if (!overlay || overlay.size === 0) {
        yield* durable[table];
        return;
      }
      // Writes made while iterating are not seen twice: the overlay is read as it was at the start.
      const written = [...overlay];
      for (const entry of durable[table]) if (!overlay.has(entry[0])) yield entry;
      for (const [key, value] of written) if (value !== DROPPED) yield [key, value as Tables[Table]];
    },
    *values<Table extends keyof Tables & string>(table: Table): Iterable<Tables[Table]> {
      for (const [, value] of draft.entries(table)) yield value;
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
