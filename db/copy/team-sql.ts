// One team's rows as plain SQL, with the tables they go into: for any Postgres, and for nobody but that team.
import pg from "pg";
import { toUuid } from "../ids.ts";
import { quoted, requireAllRows } from "./tables.ts";

/** What opens something: tokens' hashes, sealed credentials, answers kept for repetition. */
const LEFT_OUT = ["api_tokens", "registries", "idempotency_keys"];
const ROWS_PER_FETCH = 1_000;

interface TeamTable {
  readonly name: string;
  /** The column that says whose a row is. */
  readonly owner: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** In pieces; as of one moment. */
export async function* teamSql(adminUrl: string, team: string): AsyncGenerator<string> {
  const id = toUuid(team, "team");
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    await requireAllRows(client);
    await client.query("begin isolation level repeatable read read only");
    await client.query("set local timezone = 'UTC'");
    yield "begin;\n";
    for (const table of await teamTables(client)) yield* rowsOf(client, table, id);
    yield "commit;\n";
  } finally {
    await client.end();
  }
}

async function teamTables(client: pg.Client): Promise<TeamTable[]> {
  const { rows } = await client.query<TeamTable>(
    `select c.relname as name, case c.relname when 'teams' then 'id' else 'team_id' end as owner, jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod))
       order by a.attnum) as columns
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and c.relname <> all($1)
       and (c.relname = 'teams'
         or exists (select 1 from pg_attribute t where t.attrelid = c.oid and t.attname = 'team_id' and not t.attisdropped))
     group by c.relname order by c.relname`,
    [LEFT_OUT],
  );
  return rows;
}

async function* rowsOf(client: pg.Client, { name, owner, columns }: TeamTable, team: string): AsyncGenerator<string> {
  const defined = columns.map((column) => `  ${quoted(column.name)} ${column.type}`).join(",\n");
  yield `create table if not exists ${quoted(name)} (\n${defined}\n);\n`;
  const values = columns.map((column) => `quote_nullable(t.${quoted(column.name)}::text)`).join(` || ', ' || `);
  const into = `insert into ${quoted(name)} (${columns.map((column) => quoted(column.name)).join(", ")}) values (`;
  await client.query(
    `declare exporting no scroll cursor for select ${values} as line from ${quoted(name)} t where ${quoted(owner)} = ${pg.escapeLiteral(team)}::uuid`,
  );
  for (;;) {
    const { rows } = await client.query<{ line: string }>(`fetch ${ROWS_PER_FETCH} from exporting`);
    if (rows.length === 0) break;
    yield rows.map(({ line }) => `${into}${line});\n`).join("");
  }
  await client.query("close exporting");
}
