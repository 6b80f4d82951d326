// A migrated Postgres and its Neon adapter, for as long as the parent process wants them.
import { once } from "node:events";
import { migrate, urlFor } from "../../db/migrate.ts";
import { startNeonAdapter } from "../../dev/neon-adapter/server.ts";
import { scratchPostgres } from "../dev/scratch-postgres.ts";

export interface MigratedPostgres {
  readonly adapter: string;
  readonly appUrl: string;
  readonly authUrl: string;
}

const disconnected = once(process, "disconnect");
const postgres = await scratchPostgres();
const adapter = await startNeonAdapter({ port: 0, postgres: { host: "127.0.0.1", port: postgres.port } });
const passwords = { owner: "owner's", auth: "auth's", app: "app's" };
await migrate({ adminUrl: postgres.url, passwords });
const ready: MigratedPostgres = {
  adapter: `127.0.0.1:${adapter.port}`,
  appUrl: urlFor(postgres.url, "berth_app", passwords.app),
  authUrl: urlFor(postgres.url, "berth_auth", passwords.auth),
};
process.send?.(ready);
await disconnected;
await adapter.close();
await postgres.remove();
