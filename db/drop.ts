// Removes everything of Berth from a Postgres: tables, what they hold, and the roles. There is no way back but a backup.
import pg from "pg";

const ROLES = ["berth_app", "berth_auth", "berth_owner"];
/** "Some objects depend on it": the role is used in another database of the same server. */
const IN_USE = "2BP01";

/** Idempotent. All or nothing for this database; the roles of a server that other databases use stay. */
export async function dropEverything(adminUrl: string): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 15_000 });
  await admin.connect();
  try {
    const { rows } = await admin.query<{ name: string }>(
      "select rolname as name from pg_roles where rolname = any($1)",
      [ROLES],
    );
    const present = ROLES.filter((role) => rows.some(({ name }) => name === role));
    await admin.query("begin");
    for (const role of present) await admin.query(`grant ${role} to current_user`);
    for (const role of present) await admin.query(`drop owned by ${role} cascade`);
    await admin.query("commit");
    for (const role of present) await dropRole(admin, role);
  } finally {
    await admin.end();
  }
}

async function dropRole(admin: pg.Client, role: string): Promise<void> {
  try {
    await admin.query(`drop role ${role}`);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== IN_USE) throw error;
  }
}
