// A migrated Postgres and its Neon adapter, for as long as the parent process wants them.
import { once } from "node:events";
import pg from "pg";
import { migrate, urlFor } from "../../db/migrate.ts";
import { startNeonAdapter } from "../../self-hosted/database/server.ts";
import { makePatient, PATIENT_MS } from "../db/patience.ts";
import { scratchPostgres } from "../dev/scratch-postgres.ts";

export interface MigratedPostgres {
  readonly adapter: string;
  readonly appUrl: string;
  readonly authUrl: string;
  /** Of another database, for the test files whose deeds are the whole installation's. */
  readonly alone: { readonly appUrl: string; readonly authUrl: string };
}

const disconnected = once(process, "disconnect");
const postgres = await scratchPostgres();
const adapter = await startNeonAdapter({
  port: 0,
  postgres: { host: "127.0.0.1", port: postgres.port, connectTimeoutMs: PATIENT_MS },
});
const passwords = { owner: "owner's", auth: "auth's", app: "app's" };
await migrate({ adminUrl: postgres.url, passwords });
const rolesAt = (url: string) => ({
  appUrl: urlFor(url, "berth_app", passwords.app),
  authUrl: urlFor(url, "berth_auth", passwords.auth),
});

/** A copy takes a tenth of the time that migrating anew would. */
async function copied(name: string): Promise<string> {
  const from = new URL(postgres.url);
  const [original, elsewhere, copy] = [from.pathname.slice(1), new URL(from), new URL(from)];
  elsewhere.pathname = "/template1";
  copy.pathname = `/${name}`;
  const client = new pg.Client({ connectionString: elsewhere.href });
  await client.connect();
  await client.query(`create database ${name} template "${original}"`);
  await client.end();
  return copy.href;
}

const copy = await copied("alone");
for (const url of [postgres.url, copy]) await makePatient(url);
const alone = rolesAt(copy);
const ready: MigratedPostgres = {
  adapter: `127.0.0.1:${adapter.port}`,
  ...rolesAt(postgres.url),
  alone,
};
process.send?.(ready);
await disconnected;
await adapter.close();
await postgres.remove();
