// The storage layout of every native object: its rows and its schedule. Append only (see migrations.ts).
import type { Migration } from "./migrations.ts";

export const LAYOUT: readonly Migration[] = [
  (sql) => {
    // The place keeps the order in which rows were first put, so that a table reads the same before and after an eviction.
    sql.exec(`CREATE TABLE object_row (
      place INTEGER PRIMARY KEY,
      table_name TEXT NOT NULL,
      row_key TEXT NOT NULL,
      value TEXT NOT NULL,
      UNIQUE (table_name, row_key)
    )`);
    sql.exec("CREATE TABLE schedule (name TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID");
  },
];
