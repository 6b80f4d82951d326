// The stack's database: Postgres, its roles and tables, and the Neon adapter in front of it.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { migrate } from "../../db/migrate.ts";
import { adminUrl, preparePostgres, spawnPostgres, untilPostgresReady } from "../postgres.ts";
import { spawnNode, untilReadyMessage, type ChildSpec } from "./child.ts";
import type { StackState } from "./state.ts";

const DATABASE = "berth";

export interface DatabasePlan {
  readonly home: string;
  readonly logsDir: string;
  readonly postgresPort: number;
  readonly adapterPort: number;
  /** Where the minute clock calls, in the self-hosted profile; null: Miniflare's host is the clock. */
  readonly clockPort: number | null;
  readonly fsync: boolean;
  /** Letters become files here; the Workers' come with this token. */
  readonly mailDir: string;
  readonly mailToken: string;
  readonly passwords: StackState["passwords"];
}

export function postgresSpec({ home, logsDir, postgresPort, fsync, passwords }: DatabasePlan): ChildSpec {
  const options = { dir: home, port: postgresPort, password: passwords.admin, fsync };
  const log = join(logsDir, "postgres.log");
  return {
    role: "postgres",
    prepare: () => preparePostgres(options),
    start: (environment) => spawnPostgres({ ...options, environment }, log),
    untilReady: (child) => untilPostgresReady(options, child, log),
    // Fast shutdown: open transactions are rolled back, committed ones are safe.
    stopSignal: "SIGINT",
    ownsGroup: false,
  };
}

export function adapterSpec(plan: DatabasePlan): ChildSpec {
  const { logsDir, adapterPort, postgresPort, clockPort } = plan;
  const logFile = join(logsDir, "adapter.log");
  const told = {
    BERTH_ADAPTER_PORT: String(adapterPort),
    BERTH_POSTGRES_PORT: String(postgresPort),
    BERTH_MAIL_TOKEN: plan.mailToken,
    BERTH_MAIL_FOLDER: plan.mailDir,
    ...(clockPort === null ? {} : { BERTH_CLOCK_URL: `http://127.0.0.1:${clockPort}` }),
  };
  return {
    role: "adapter",
    logFile,
    start: (environment) =>
      spawnNode({
        script: fileURLToPath(new URL("../../self-hosted/companion/main.ts", import.meta.url)),
        args: [],
        logFile,
        environment: { ...environment, ...told },
        channel: true,
      }),
    untilReady: (child) => untilReadyMessage(child, () => {}),
    stopSignal: "SIGTERM",
    ownsGroup: true,
  };
}

/** Makes the database if it is not there, and brings roles and tables up to date. Safe to repeat. */
export async function prepareDatabase({
  postgresPort,
  passwords,
}: Pick<DatabasePlan, "postgresPort" | "passwords">): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl({ port: postgresPort, password: passwords.admin }) });
  await admin.connect();
  try {
    const { rowCount } = await admin.query("select 1 from pg_database where datname = $1", [DATABASE]);
    if (rowCount === 0) await admin.query(`create database ${DATABASE}`);
  } finally {
    await admin.end();
  }
  await migrate({
    adminUrl: adminUrl({ port: postgresPort, password: passwords.admin }, DATABASE),
    passwords: { owner: passwords.owner, auth: passwords.auth, app: passwords.app },
  });
}

export type DatabaseRole = "berth_owner" | "berth_auth" | "berth_app";

/** The URL by which a role reaches the database; the same text is what production gets from Neon. */
export function databaseUrl(role: DatabaseRole, password: string, postgresPort: number): string {
  return `postgres://${role}:${encodeURIComponent(password)}@127.0.0.1:${postgresPort}/${DATABASE}`;
}
