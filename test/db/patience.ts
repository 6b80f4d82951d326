// Waiting for Postgres on a busy machine: what is not about its absence must not fail because it was slow to answer.
import pg from "pg";

export const PATIENT_MS = 60_000;

/** In that database, whatever its roles are limited to elsewhere. */
export async function makePatient(adminUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  const database = pg.escapeIdentifier(new URL(adminUrl).pathname.slice(1));
  for (const role of ["berth_app", "berth_auth"])
    for (const limit of ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"])
      await client.query(`alter role ${role} in database ${database} set ${limit} = ${PATIENT_MS}`);
  await client.end();
}
