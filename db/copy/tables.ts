// Which tables there are, in an order in which each comes after those it refers to; and whether they can be read whole.
import type pg from "pg";

export interface CopyTable {
  readonly name: string;
  /** In the order of each row's values. */
  readonly columns: readonly string[];
}

/** What says of this very database what it is: it is never copied. */
const LEFT_OUT = ["restores"];

/** Throws where row-level security would hide rows from this role: a backup without them would look whole. */
export async function requireAllRows(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ role: string; sees: boolean }>(
    "select current_user as role, rolsuper or rolbypassrls as sees from pg_roles where rolname = current_user",
  );
  const [row] = rows;
  if (row?.sees !== true)
    throw new Error(`the role ${row?.role ?? ""} does not see all rows: give the URL of the database's owner`);
}

export async function copyTables(client: pg.Client): Promise<CopyTable[]> {
  const { rows } = await client.query<{ name: string; columns: string[]; needs: string[] }>(
    `select c.relname as name,
       array(select a.attname::text from pg_attribute a
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum) as columns,
       array(select distinct f.relname::text from pg_constraint k join pg_class f on f.oid = k.confrelid
         where k.conrelid = c.oid and k.contype = 'f' and k.confrelid <> k.conrelid) as needs
     from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and c.relname <> all($1)
     order by c.relname`,
    [LEFT_OUT],
  );
  const ordered: CopyTable[] = [];
  const waiting = [...rows];
  while (waiting.length > 0) {
    const at = waiting.findIndex(({ needs }) => needs.every((need) => ordered.some(({ name }) => name === need)));
    if (at < 0)
      throw new Error(`tables refer to each other in a circle: ${waiting.map(({ name }) => name).join(", ")}`);
    const [{ name, columns }] = waiting.splice(at, 1) as [(typeof rows)[number]];
    ordered.push({ name, columns });
  }
  return ordered;
}

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
