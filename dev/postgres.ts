// The local stack's Postgres: the real server from npm, on a data directory that survives restarts and SIGKILL.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { postgresBinaries, serverUser } from "./postgres-binaries.ts";
import { end } from "./process/end.ts";
import { identify } from "./process/identity.ts";

export interface PostgresOptions {
  /** A folder of Postgres' own; its parents must be reachable (0755) for the user `postgres` when we are root. */
  readonly dir: string;
  readonly port: number;
  /** The superuser's password. */
  readonly password: string;
  /** true: a committed row survives a power cut. Tests turn it off. */
  readonly fsync: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

export const SUPERUSER = "berth_admin";
const START_TIMEOUT_MS = 60_000;

/** Prepares the data directory if it is new, ends an orphaned postmaster that still owns it, and removes what it left. */
export async function preparePostgres({ dir, password }: PostgresOptions): Promise<void> {
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  const dataDir = join(dir, "data");
  await endOrphanedPostmaster(dataDir);
  if (existsSync(join(dataDir, "PG_VERSION"))) return;
  // initdb that was killed half-way leaves a directory it would refuse: build beside, rename when complete.
  const building = join(dir, "data.new");
  rmSync(building, { recursive: true, force: true });
  await runInitdb(dir, building, password);
  rmSync(dataDir, { recursive: true, force: true });
  renameSync(building, dataDir);
}

async function runInitdb(home: string, databaseDir: string, password: string): Promise<void> {
  const user = serverUser();
  const passwordFile = join(home, "password.new");
  mkdirSync(databaseDir, { mode: 0o700 });
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  for (const path of [databaseDir, passwordFile]) {
    if (user.uid !== undefined && user.gid !== undefined) chownSync(path, user.uid, user.gid);
  }
  const flags = [
    `--pgdata=${databaseDir}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--no-instructions",
  ];
  const child = spawn(join(postgresBinaries(home), "initdb"), flags, {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: home,
    ...user,
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  try {
    const code = await new Promise<number | null>((resolve, reject) =>
      child.once("error", reject).once("close", resolve),
    );
    if (code !== 0)
      throw new Error(`initdb failed (exit ${code}):\n${output.trim().split("\n").slice(-15).join("\n")}`);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/** postmaster.pid names the process that owns a data directory; ours if that process was started on this very directory. */
async function endOrphanedPostmaster(dataDir: string): Promise<void> {
  const lockFile = join(dataDir, "postmaster.pid");
  if (!existsSync(lockFile)) return;
  const pid = Number(readFileSync(lockFile, "utf8").split("\n")[0]);
  const identity = Number.isInteger(pid) && pid > 1 ? identify(pid) : null;
  // A dead pid is left to the server: it takes the lock over itself, once no backend of the dead postmaster is left.
  if (identity === null) return;
  if (commandLineOf(pid).includes(dataDir)) return end(identity, { politely: "SIGINT", graceMs: 5_000 });
  // The pid has become another process's: the server would believe it and refuse to start.
  rmSync(lockFile, { force: true });
}

function commandLineOf(pid: number): string {
  try {
    if (process.platform === "linux") return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    return execFileSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return "";
  }
}

/** Starts the server; resolves as soon as the process exists. `untilPostgresReady` waits for it to answer. */
export function spawnPostgres(options: PostgresOptions, logFile: string): ChildProcess {
  const log = openSync(logFile, "a");
  const settings = [
    `fsync=${options.fsync ? "on" : "off"}`,
    `synchronous_commit=${options.fsync ? "on" : "off"}`,
    `full_page_writes=${options.fsync ? "on" : "off"}`,
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=64MB",
    "log_min_messages=warning",
    "timezone=UTC",
  ];
  const child = spawn(
    join(postgresBinaries(options.dir), "postgres"),
    ["-D", join(options.dir, "data"), "-p", String(options.port), ...settings.flatMap((setting) => ["-c", setting])],
    {
      stdio: ["ignore", log, log],
      detached: true,
      cwd: options.dir,
      env: { ...process.env, ...options.environment },
      ...serverUser(),
    },
  );
  closeSync(log);
  return child;
}

export function adminUrl(
  { port, password }: Pick<PostgresOptions, "port" | "password">,
  database = "postgres",
): string {
  return `postgres://${SUPERUSER}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
}

/** Waits until a query is answered; throws with the log's end if the process ends or takes longer than a minute. */
export async function untilPostgresReady(
  options: PostgresOptions,
  child: ChildProcess,
  logFile: string,
): Promise<void> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const client = new pg.Client({ connectionString: adminUrl(options), connectionTimeoutMillis: 2_000 });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.query("select 1");
      return;
    } catch (error) {
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended || performance.now() > deadlineMs) {
        const tail = readFileSync(logFile, "utf8").trim().split("\n").slice(-10).join("\n");
        throw new Error(`Postgres did not start: ${(error as Error).message}\n${tail}`, { cause: error });
      }
      await sleep(25);
    } finally {
      await client.end().catch(() => {});
    }
  }
}
