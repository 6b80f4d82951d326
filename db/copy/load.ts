// A dump's rows into empty tables: in one transaction, so that there is all of it or nothing.
import pg from "pg";
import { copyTables, quoted, requireAllRows, type CopyTable } from "./tables.ts";

/** Any number, but the same for ever: two restores of one database wait for each other. */
const LOCK_KEY = 7_239_874_512;

export interface Load {
  /** The first table that has a row; null where there is none. A source of which nothing was taken is no row. */
  firstFilled(): Promise<string | null>;
  /** Lines as Dump.rows gave them, with the columns that they have. */
  insert(table: string, columns: readonly string[], lines: readonly string[]): Promise<void>;
  run(statement: string, values?: unknown[]): Promise<pg.QueryResult>;
  commit(): Promise<void>;
  /** What was not committed is undone. */
  close(): Promise<void>;
}

export async function openLoad(adminUrl: string): Promise<Load> {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    await requireAllRows(client);
    await client.query("begin");
    await client.query("select pg_advisory_xact_lock($1)", [LOCK_KEY]);
    await client.query("set local timezone = 'UTC'");
    const tables = await copyTables(client);
    return {
      firstFilled: () => firstFilled(client, tables),
      insert: (table, columns, lines) => insert(client, table, columns, lines),
      run: (statement, values) => client.query(statement, values),
      async commit() {
        for (const table of tables) await raiseSequences(client, table);
        await client.query("commit");
      },
      close: () => client.end(),
    };
  } catch (error) {
    await client.end();
    throw error;
  }
}

async function firstFilled(client: pg.Client, tables: readonly CopyTable[]): Promise<string | null> {
  for (const { name } of tables) {
    const only = name === "outbox_sources" ? "where last_seq > 0" : "";
    const { rows } = await client.query<{ filled: boolean }>(
      `select exists (select 1 from ${quoted(name)} ${only}) as filled`,
    );
    if (rows[0]?.filled) return name;
  }
  return null;
}

/** A record of the table's own types reads each value back as what it was. */
async function insert(
  client: pg.Client,
  table: string,
  columns: readonly string[],
  lines: readonly string[],
): Promise<void> {
  const names = columns.map(quoted).join(", ");
  const fields = columns.map((column, at) => `'${column.replaceAll("'", "''")}', line -> ${at}`).join(", ");
  const picked = columns.map((column) => `r.${quoted(column)}`).join(", ");
  await client.query(
    `insert into ${quoted(table)} (${names}) overriding system value
     select ${picked} from jsonb_array_elements($1::jsonb) as line,
       jsonb_populate_record(null::${quoted(table)}, jsonb_build_object(${fields})) as r`,
    [`[${lines.join(",")}]`],
  );
}

async function raiseSequences(client: pg.Client, { name, columns }: CopyTable): Promise<void> {
  for (const column of columns) {
    const { rows } = await client.query<{ sequence: string | null }>(
      "select pg_get_serial_sequence($1, $2) as sequence",
      [`public.${quoted(name)}`, column],
    );
    const [row] = rows;
    if (!row?.sequence) continue;
    const next = `select coalesce(max(${quoted(column)}), 0) + 1 from ${quoted(name)}`;
    await client.query(`select setval($1, (${next}), false)`, [row.sequence]);
  }
}
