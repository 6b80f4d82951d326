// Looks for a text wherever a platform could have left it: its tables, its files, the arguments of all processes.
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import pg from "pg";
import { expect } from "vitest";
import { OUTPUT_FILES } from "../../node-agent/agent/runtime/process/output-file.ts";
import { SMALL, eventually, versionServer, writeApp, type World } from "./support.ts";

/** An app prints its secret, and fails with it; then it is looked for everywhere. Leaves the app `singing`. */
export async function singCanary(world: World): Promise<void> {
  const canary = `canary-${randomBytes(16).toString("hex")}`;
  const deploy = (server: string) =>
    world.berth(["deploy", writeApp(world.home, "singing", { "server.mjs": server }, `replicas = 1\n${SMALL}`)]);
  expect((await world.api("POST", "/v1/apps", { name: "singing" })).status).toBe(201);
  const told = [await world.berth(["env", "set", "--app", "singing", "CANARY=-", "PLAIN=shown"], canary)];
  told.push(await deploy(`console.log("it is", process.env.CANARY);\n${versionServer("singing")}`));
  for (const ran of told) expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  const broken = await deploy(
    'console.error("broken with", process.env.CANARY, process.env.PLAIN);\nprocess.exit(7);\n',
  );
  expect(broken.stderr).toContain("broken with [CANARY redacted] shown");
  const logs = await eventually(
    () => world.berth(["logs", "singing"]),
    ({ stdout }) => stdout.includes("it is [CANARY redacted]"),
  );
  told.push(broken, logs, await world.berth(["rollout", "show", "singing"]), await world.berth(["audit"]));
  for (const path of ["", "/env", "/env/versions", "/releases", "/rollouts", "/instances", "/history"])
    told.push({
      exitCode: 0,
      stderr: "",
      stdout: JSON.stringify((await world.api("GET", `/v1/apps/singing${path}`)).body),
    });
  expect(told.filter((ran) => JSON.stringify(ran).includes(canary))).toEqual([]);
  // It is looked for where it could be: what is known to be there is found.
  expect(await tablesWith(world.stack.postgres.adminUrl, "environment.change")).toContain("public.audit");
  expect(filesWith(world.stack.stateDir, "[CANARY redacted]").length).toBeGreaterThan(0);
  expect(argumentsWith("server.mjs").length).toBeGreaterThan(0);
  expect(await tablesWith(world.stack.postgres.adminUrl, canary)).toEqual([]);
  expect(filesWith(world.stack.stateDir, canary)).toEqual([]);
  expect(argumentsWith(canary)).toEqual([]);
}

/** What an app itself wrote, as it wrote it, on its own node: nobody is shown it but by the agent, which redacts. */
const RAW: readonly string[] = Object.values(OUTPUT_FILES);

async function tablesWith(adminUrl: string, text: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  const { rows } = await client.query<{ name: string }>(
    `select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  const found: string[] = [];
  for (const { name } of rows) {
    const asked = await client.query(`select 1 from ${name} as row where row::text like $1 limit 1`, [`%${text}%`]);
    if (asked.rowCount) found.push(name);
  }
  await client.end();
  return found;
}

/** Objects' storage, KV, bundles, Postgres' own files and every log lie in the stack's folder. */
function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !RAW.includes(basename(entry.name)))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => contains(path, text));
}

const argumentsWith = (text: string): string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => contains(`/proc/${pid}/cmdline`, text));

function contains(path: string, text: string): boolean {
  try {
    return readFileSync(path).includes(text);
  } catch {
    // It went meanwhile: a process that ended, a file that was replaced.
    return false;
  }
}
