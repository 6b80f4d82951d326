// Brings a Postgres to the present schema: roles by the administrator, then migrations as berth_owner. Runs in Node, over the direct URL.
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate as runMigrations } from "drizzle-orm/node-postgres/migrator";
import pg from "pg";

export interface MigrateOptions {
  /** A role that may create roles, on the database that Berth shall use (Neon: the direct URL, not the pooled one). */
  readonly adminUrl: string;
  /** Of berth_auth and berth_app: absent, they stay what they are. Nothing connects as berth_owner between migrations. */
  readonly passwords: { readonly owner: string; readonly auth?: string; readonly app?: string };
}

/** Any number, but the same for ever: two migrations of one database wait for each other. */
export const LOCK_KEY = 7_239_874_511;
/** Roles belong to the whole server: a migration of another database may be changing them in this very moment. */
const ROLE_TRIES_MAX = 10;

/** Idempotent, and safe to run concurrently. Without anything to do it takes a few tens of milliseconds. */
export async function migrate({ adminUrl, passwords }: MigrateOptions): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 });
  await admin.connect();
  try {
    await admin.query("select pg_advisory_lock($1)", [LOCK_KEY]);
    await ensureRole(admin, "berth_owner", passwords.owner, []);
    const limits = ["statement_timeout = '5s'", "lock_timeout = '3s'", "idle_in_transaction_session_timeout = '15s'"];
    await ensureRole(admin, "berth_auth", passwords.auth, limits);
    await ensureRole(admin, "berth_app", passwords.app, limits);
    await admitOwner(admin);
    await asOwner(adminUrl, passwords.owner);
  } finally {
    await admin.end();
  }
}

/** NOBYPASSRLS, member of nothing, owner of nothing. A password that is given is set anew each time, so that it can be rotated. */
async function ensureRole(
  admin: pg.Client,
  role: string,
  password: string | undefined,
  settings: readonly string[],
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await admin.query(
        `do $$ begin create role ${role} login; exception when duplicate_object or unique_violation then null; end $$`,
      );
      const secret = password === undefined ? "" : `password ${pg.escapeLiteral(password)}`;
      await admin.query(`alter role ${role} login inherit ${secret}`);
      for (const setting of settings) await admin.query(`alter role ${role} set ${setting}`);
      return;
    } catch (error) {
      // XX000 "tuple concurrently updated": see ROLE_TRIES_MAX.
      if (!(error instanceof pg.DatabaseError) || error.code !== "XX000" || tries >= ROLE_TRIES_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10 + Math.random() * 20 * tries));
    }
  }
}

/** What berth_owner needs in order to own its tables; and nobody else may create anything. */
async function admitOwner(admin: pg.Client): Promise<void> {
  const { rows } = await admin.query<{ name: string; done: boolean }>(
    `select quote_ident(current_database()) as name,
       has_database_privilege('berth_owner', current_database(), 'create')
       and has_schema_privilege('berth_owner', 'public', 'create')
       and not has_database_privilege('berth_app', current_database(), 'temporary') as done`,
  );
  const [database] = rows;
  if (database === undefined || database.done) return;
  await admin.query(`grant connect, create on database ${database.name} to berth_owner`);
  await admin.query(`grant connect on database ${database.name} to berth_auth, berth_app`);
  await admin.query(`revoke temporary on database ${database.name} from public`);
  await admin.query("grant usage, create on schema public to berth_owner");
  await admin.query("revoke create on schema public from public");
}

async function asOwner(adminUrl: string, password: string): Promise<void> {
  const owner = new pg.Client({
    connectionString: urlFor(adminUrl, "berth_owner", password),
    connectionTimeoutMillis: 10_000,
  });
  // "already exists, skipping": said at every start, of no use to anybody.
  await owner.connect();
  try {
    await owner.query("set client_min_messages = warning");
    await runMigrations(drizzle(owner), { migrationsFolder: `${import.meta.dirname}/migrations` });
  } finally {
    await owner.end();
  }
}

/** The same database for another role. */
export function urlFor(adminUrl: string, role: string, password: string): string {
  const url = new URL(adminUrl);
  url.username = role;
  url.password = encodeURIComponent(password);
  return url.href;
}
