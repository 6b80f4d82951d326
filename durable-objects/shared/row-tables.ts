// An object's durable tables: read into memory once, then changed in memory and SQLite together.
import type { Durable, RowChange } from "../../core/step.ts";

export class RowTables<Tables> {
  readonly #storage: DurableObjectStorage;
  readonly #maps: Map<string, Map<string, unknown>>;
  /** What steps read. The same maps for the life of the object; only apply() writes them. */
  readonly durable: Durable<Tables>;

  /** Call inside start-up, after the migrations. Tables that this version does not know are kept, unread. */
  constructor(storage: DurableObjectStorage, tables: readonly (keyof Tables & string)[]) {
    this.#storage = storage;
    this.#maps = new Map(tables.map((table) => [table, new Map<string, unknown>()]));
    this.durable = Object.fromEntries(this.#maps) as unknown as Durable<Tables>;
    this.read();
  }

  /** Again, where rows were written by other means. */
  read(): void {
    for (const map of this.#maps.values()) map.clear();
    for (const row of this.#storage.sql.exec("SELECT table_name, row_key, value FROM object_row ORDER BY place")) {
      this.#maps.get(String(row["table_name"]))?.set(String(row["row_key"]), JSON.parse(String(row["value"])));
    }
  }

  /** All or nothing, with no await in between: SQLite first, and memory only once SQLite has taken every row. */
  apply(changes: readonly RowChange<Tables>[]): void {
    if (changes.length === 0) return;
    const { sql } = this.#storage;
    this.#storage.transactionSync(() => {
      for (const change of changes) {
        this.#mapOf(change.table);
        if (change.kind === "delete") {
          sql.exec("DELETE FROM object_row WHERE table_name = ? AND row_key = ?", change.table, change.key);
        } else {
          sql.exec(
            `INSERT INTO object_row (table_name, row_key, value) VALUES (?, ?, ?)
             ON CONFLICT (table_name, row_key) DO UPDATE SET value = excluded.value`,
            change.table,
            change.key,
            JSON.stringify(change.value),
          );
        }
      }
    });
    for (const change of changes) {
      const map = this.#mapOf(change.table);
      if (change.kind === "delete") map.delete(change.key);
      else map.set(change.key, change.value);
    }
  }

  #mapOf(table: string): Map<string, unknown> {
    const map = this.#maps.get(table);
    if (map === undefined) throw new Error(`no table ${table}`);
    return map;
  }
}
