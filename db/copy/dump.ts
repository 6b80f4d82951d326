// Every row of every table as of one moment, as lines of JSON.
import pg from "pg";
import { copyTables, quoted, requireAllRows, type CopyTable } from "./tables.ts";

const ROWS_PER_FETCH = 2_000;

export interface Dump {
  readonly tables: readonly CopyTable[];
  /** The rows of a table, each an array of its columns' values as JSON; some at a time. */
  rows(table: CopyTable): AsyncGenerator<readonly string[]>;
  /** One statement within the same moment. */
  ask<Row extends pg.QueryResultRow>(statement: string): Promise<Row[]>;
  /** The moment ends. */
  close(): Promise<void>;
}

/** adminUrl: direct, of a role that sees all rows. Reads only, and holds nobody up. */
export async function openDump(adminUrl: string): Promise<Dump> {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    await requireAllRows(client);
    await client.query("begin isolation level repeatable read read only");
    // Times as one zone's, and numbers in full: what is read back is what was there.
    await client.query("set local timezone = 'UTC'; set local extra_float_digits = 1");
    const tables = await copyTables(client);
    return {
      tables,
      rows: (table) => rowsOf(client, table),
      ask: async (statement) => (await client.query(statement)).rows,
      close: () => client.end(),
    };
  } catch (error) {
    await client.end();
    throw error;
  }
}

async function* rowsOf(client: pg.Client, { name, columns }: CopyTable): AsyncGenerator<readonly string[]> {
  const values = columns.map((column) => `to_jsonb(t.${quoted(column)})`).join(", ");
  await client.query(
    `declare copying no scroll cursor for select jsonb_build_array(${values})::text as line from ${quoted(name)} t`,
  );
  try {
    for (;;) {
      const { rows } = await client.query<{ line: string }>(`fetch ${ROWS_PER_FETCH} from copying`);
      if (rows.length === 0) return;
      yield rows.map(({ line }) => line);
    }
  } finally {
    await client.query("close copying").catch(() => undefined);
  }
}
