// `npm run bench:restore`: 10,000 apps and a million events of history are backed up, lost and restored by the real commands against a
// local workerd and Postgres: how long each takes, and whether any row of any table or object is missing or otherwise. Locally each
// object is a file that is synced to the disk; TMPDIR on a memory file system leaves that out, as it says nothing of Cloudflare's storage.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { z } from "zod";
import type { ObjectRef } from "../contracts/backup.ts";
import { adminUrl as urlOf } from "../dev/postgres.ts";
import { startStack, type Stack } from "../dev/stack.ts";
import { callApi } from "../dev/stack/operator.ts";
import { stateOf, wipe } from "../dev/stack/wipe.ts";
import { runBerth } from "../test/cli/run-berth.ts";
import { fill, type Platform } from "./restore/fill.ts";
import { livesOn } from "./restore/lives-on.ts";
import { type Compared, compareObjects, compareRows, countOf, objectsOf, rowsOf } from "./restore/rows.ts";
import { readTruth, type Truth, writeTruth } from "./restore/truth.ts";
import { note, printReport, rounded } from "./shared/report.ts";

const APPS = Number(process.env.BERTH_BENCH_APPS ?? 10_000);
const EVENTS_EACH = Number(process.env.BERTH_BENCH_EVENTS_EACH ?? 100);
/** So many apps are changed after the restore. */
const CHANGED = 50;
/** A restore is a work of minutes at a size that few operators have. */
const RESTORE_WITHIN_S = 600;
/** Apps answer within this after the restore: there are no nodes to wait for. */
const SETTLE_MS = 10_000;
const TUNING = { apiRequestsPerMinute: 1_000_000 };

/** Given, the work is done in two pieces: the first run leaves everything there after the backup, the second one goes on with it. */
const kept = process.env.BERTH_BENCH_DIR;
const dir = kept ?? mkdtempSync(join(tmpdir(), "berth-bench-restore-"));
const identityFile = join(dir, "identity.txt");
const truthFile = join(dir, "truth.json");
const isSecondPiece = existsSync(truthFile);
if (!isSecondPiece) writeFileSync(identityFile, await generateX25519Identity(), { mode: 0o600 });
const recipient = await identityToRecipient(readFileSync(identityFile, "utf8"));
const control = { TUNING: JSON.stringify(TUNING), BACKUP_RECIPIENT: recipient };
const stack = await startStack({ stateDir: join(dir, "state"), agents: 0, vars: { control }, fsync: false });
let goesOn = false;
try {
  const { passwords, secrets } = stateOf(stack);
  const adminUrl = urlOf({ port: stack.postgres.port, password: passwords.admin }, "berth");
  const platform: Platform = {
    ...{ controlUrl: stack.controlUrl, token: stack.operator.token, setupToken: secrets.SETUP_TOKEN, adminUrl },
  };
  const truth = isSecondPiece ? readTruth(truthFile) : await begin(platform);
  goesOn = kept !== undefined && !isSecondPiece;
  if (goesOn) writeTruth(truthFile, truth);
  else await end(stack, platform, truth);
} finally {
  await stack.stop();
  if (!goesOn) rmSync(dir, { recursive: true, force: true });
}

async function begin(platform: Platform): Promise<Truth> {
  const refs = await filled(platform);
  await sleep(SETTLE_MS);
  const rows = await rowsOf(platform.adminUrl);
  const objects = await objectsOf(platform, refs);
  note(`${countOf(rows)} rows and ${objects.size} objects are there`);
  const backupS = await timed("backup", platform, ["backup", "--to", dir, "--recipient", recipient]);
  return { refs, rows, objects, backupS };
}

async function end(stack: Stack, platform: Platform, { refs, rows, objects, backupS }: Truth): Promise<void> {
  const file = join(
    dir,
    readdirSync(dir).find((name) => name.endsWith(".age"))!,
  );
  const { size: fileBytes } = statSync(file);
  await wipe(stack);
  const checkS = await timed("check", platform, ["restore", file, "--identity-file", identityFile, "--check"]);
  const restoreS = await timed("restore", platform, ["restore", file, "--identity-file", identityFile]);
  await sleep(SETTLE_MS);

  const differences = compareRows(rows, await rowsOf(platform.adminUrl));
  note(`tables with other rows: ${JSON.stringify(differences)}`);
  const compared = compareObjects(objects, await objectsOf(platform, refs));
  note(`objects: ${JSON.stringify(compared)}`);
  const names = Array.from({ length: Math.min(CHANGED, APPS) }, (_, n) => `template-${n}`);
  const silent = names.length - (await livesOn(platform, names));
  const sizes = { rows: countOf(rows), objects: objects.size, fileBytes };
  report({ ...sizes, backupS, checkS, restoreS, differences, compared, silent });
}

/** One app made and deployed through the API, and all the others as copies of it. */
async function filled(platform: Platform): Promise<ObjectRef[]> {
  const call = <Schema extends z.ZodType>(path: string, schema: Schema, body: unknown) =>
    callApi(platform.controlUrl, { schema, method: "POST", path, token: platform.token, body });
  const Made = z.object({ id: z.string(), hostnames: z.array(z.string()) });
  const made = await call("/v1/apps", Made, { name: "template", replicas: 0 });
  for (const version of [1, 2, 3]) {
    const spec = { source: { kind: "image", reference: `bench.invalid/app:${version}` } };
    await call("/v1/apps/template/releases", z.object({ release: z.unknown() }), { spec });
    await sleep(SETTLE_MS / 5);
  }
  const startedMs = performance.now();
  const template = { app: made.id, name: "template", hostname: made.hostnames[0]! };
  const { apps, hostnames } = await fill(platform, template, APPS, EVENTS_EACH);
  note(`filled with ${apps.length} apps in ${rounded((performance.now() - startedMs) / 1_000, 1)} s`);
  return [
    ...hostnames.map((name): ObjectRef => ({ kind: "host", name })),
    ...apps.map((name): ObjectRef => ({ kind: "app", name })),
  ];
}

/** Seconds that the command took, start of Node included. Throws where it fails. */
async function timed(what: string, platform: Platform, args: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  const env = {
    ...{ BERTH_API_URL: platform.controlUrl, BERTH_TOKEN: platform.token },
    ...{ BERTH_ADMIN_URL: platform.adminUrl, BERTH_SETUP_TOKEN: platform.setupToken },
  };
  const ran = await runBerth(args, { cwd: dir, env });
  if (ran.exitCode !== 0) throw new Error(`${what}: ${ran.stderr}`);
  const tookS = rounded((performance.now() - startedMs) / 1_000, 1);
  note(`${what}: ${tookS} s`);
  return tookS;
}

interface Measured {
  readonly rows: number;
  readonly objects: number;
  readonly fileBytes: number;
  readonly backupS: number;
  readonly checkS: number;
  readonly restoreS: number;
  readonly differences: ReturnType<typeof compareRows>;
  readonly compared: Compared;
  /** Apps that were changed after the restore and of which nothing was heard. */
  readonly silent: number;
}

function report({ differences, compared, silent, ...measured }: Measured): void {
  const missing = Object.values(differences).reduce((sum, table) => sum + table.missing, 0);
  printReport({
    bench: "restore",
    rounds: 1,
    cores: availableParallelism(),
    ...{ apps: APPS, ...measured, objectRowsCompared: compared.rows, tablesWithOtherRows: differences },
    aims: [
      { name: "rows of Postgres that are missing", value: missing, op: "<=", bound: 0, unit: "rows" },
      { name: "rows of objects that are missing", value: compared.missing, op: "<=", bound: 0, unit: "rows" },
      { name: "rows of objects that are otherwise", value: compared.changed, op: "<=", bound: 0, unit: "rows" },
      { name: "apps that say nothing after it", value: silent, op: "<=", bound: 0, unit: "apps" },
      { name: "the restore", value: measured.restoreS, op: "<=", bound: RESTORE_WITHIN_S, unit: "s" },
    ],
  });
}
