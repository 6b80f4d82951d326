// Deploys a Worker with wrangler, the tool that bundles, migrates objects and sets schedules as Cloudflare itself does it.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { CommandFailure, EXIT } from "../failure.ts";
import { PROJECT } from "./build.ts";
import { PERMISSIONS, permissionText } from "./permissions.ts";

export interface WranglerAccess {
  readonly token: string;
  readonly accountId: string;
  /** Absent: Cloudflare's own. */
  readonly apiUrl: string;
}

const BIN = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin/wrangler.js");
const TIMEOUT_MS = 300_000;
/** "CPU limits are not supported for the Free plan." */
export const FREE_PLAN_CODE = 100_328;
const CODE = /\[code: (\d+)\]/g;

/** The bundle is made and checked as for a deploy; nothing is sent. */
export async function dryRun(config: Record<string, unknown>, access: WranglerAccess): Promise<void> {
  await withPrivateFolder(async (folder) => {
    const path = write(folder, "wrangler.json", config);
    await run(
      ["deploy", "-c", path, "--dry-run", "--outdir", join(folder, "out")],
      folder,
      access,
      String(config.name),
    );
  });
}

/** Secrets go with the upload, so that there is no version without them; those that it has and that are not named stay. */
export async function deploy(
  config: Record<string, unknown>,
  secrets: Readonly<Record<string, string>>,
  access: WranglerAccess,
): Promise<void> {
  await withPrivateFolder(async (folder) => {
    const args = ["deploy", "-c", write(folder, "wrangler.json", config)];
    if (Object.keys(secrets).length > 0) args.push("--secrets-file", write(folder, "secrets.json", secrets));
    await run(args, folder, access, String(config.name));
  });
}

function write(folder: string, name: string, value: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(value), { mode: 0o600 });
  return path;
}

/** Readable by this user alone, and gone afterwards: also after Ctrl-C. */
async function withPrivateFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "berth-setup-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const interrupted = () => process.exit(EXIT.detached);
  process.once("exit", remove).once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    await work(folder);
  } finally {
    process.off("exit", remove).off("SIGINT", interrupted).off("SIGTERM", interrupted);
    remove();
  }
}

async function run(args: readonly string[], folder: string, access: WranglerAccess, worker: string): Promise<void> {
  // The owner's way to the database is none of wrangler's business.
  const { BERTH_ADMIN_URL: _admin, CLOUDFLARE_WORKER_TOKEN: _worker, ...inherited } = process.env;
  const env = {
    ...inherited,
    CI: "1",
    NO_COLOR: "1",
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_LOG_PATH: join(folder, "logs"),
    CLOUDFLARE_API_TOKEN: access.token,
    CLOUDFLARE_ACCOUNT_ID: access.accountId,
    CLOUDFLARE_API_BASE_URL: access.apiUrl,
  };
  const child = spawn(process.execPath, ["--no-warnings", BIN, ...args], { cwd: PROJECT, env, timeout: TIMEOUT_MS });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  child.stdin.end();
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  if (exitCode !== 0) throw failureOf(worker, stripVTControlCharacters(said));
}

function failureOf(worker: string, said: string): CommandFailure {
  const codes = [...said.matchAll(CODE)].map(([, code]) => Number(code));
  if (codes.includes(FREE_PLAN_CODE)) return freePlan();
  const reason = said
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /ERROR|\[code: |^✘/.test(line))
    .join("\n  ");
  const missing = codes.includes(10_000) || codes.includes(9109) ? permissionText(PERMISSIONS.scripts) : null;
  return new CommandFailure(
    `${worker} could not be deployed:\n  ${reason || said.trim().slice(-1_500)}`,
    EXIT.failed,
    missing === null ? "What was made so far stays: run the same command again." : `The token lacks ${missing}.`,
  );
}

export const freePlan = (): CommandFailure =>
  new CommandFailure(
    "The account is on the Workers Free plan, on which Berth cannot work: hashing one password takes more than its 10 ms of processor time per request.",
    EXIT.failed,
    "Switch the account to Workers Paid (dashboard, Workers & Pages, Plans; 5 USD a month), then run this again.",
  );
