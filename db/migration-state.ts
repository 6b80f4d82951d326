// Which migrations a Postgres has, compared with this version's; and what it must be able to do before there are any.
import pg from "pg";
import journal from "./migrations/meta/_journal.json" with { type: "json" };

export interface MigrationState {
  /** By the moment they were made. */
  readonly applied: readonly number[];
  readonly pending: number;
  /** Migrations that this version does not know: a newer one was here. */
  readonly unknown: number;
  readonly serverVersion: number;
  /** Whether the URL's role may make the three roles. */
  readonly mayCreateRoles: boolean;
}

const CONNECT_TIMEOUT_MS = 15_000;

/** Reads alone. */
export async function readMigrationState(adminUrl: string): Promise<MigrationState> {
  const admin = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  await admin.connect();
  try {
    const { rows } = await admin.query<{ version: number; may: boolean; migrated: boolean }>(
      `select current_setting('server_version_num')::int as version,
         (select rolcreaterole or rolsuper from pg_roles where rolname = current_user) as may,
         exists (select 1 from pg_tables where schemaname = 'drizzle' and tablename = '__drizzle_migrations') as migrated`,
    );
    const [server] = rows;
    const applied = server?.migrated === true ? await appliedMigrations(admin) : [];
    const known = journal.entries.map(({ when }) => when);
    return {
      applied,
      pending: known.filter((when) => !applied.includes(when)).length,
      unknown: applied.filter((when) => !known.includes(when)).length,
      serverVersion: server?.version ?? 0,
      mayCreateRoles: server?.may === true,
    };
  } finally {
    await admin.end();
  }
}

/** The administrator may not read what berth_owner made: a member of it may. */
async function appliedMigrations(admin: pg.Client): Promise<number[]> {
  await admin.query("begin");
  try {
    await becomeOwner(admin);
    const { rows } = await admin.query<{ at: string }>("select created_at as at from drizzle.__drizzle_migrations");
    return rows.map(({ at }) => Number(at));
  } finally {
    await admin.query("rollback");
  }
}

/** For this transaction alone. Who made a role may grant it to himself; a superuser needs no grant. */
async function becomeOwner(admin: pg.Client): Promise<void> {
  await admin.query("grant berth_owner to current_user");
  await admin.query("set local role berth_owner");
}
