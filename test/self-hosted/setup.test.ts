// `berth setup --self-hosted`: what it writes is run as its units say, on a real Postgres, workerd and an S3-compatible store.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LOCK_KEY as MIGRATION_LOCK } from "../../db/migrate.ts";
import { BIN, runBerth } from "../cli/run-berth.ts";
import { createSetupWorld, type SetupWorld } from "./setup-world.ts";
import { startUnit, type RunningUnit } from "./units.ts";
import { untilListening } from "./until-listening.ts";

let world: SetupWorld;
const units: RunningUnit[] = [];

beforeAll(async () => {
  world = await createSetupWorld();
});
afterAll(async () => {
  await Promise.all(units.map((unit) => unit.stop()));
  await world?.end();
});

const inFolder = (file: string): string => join(world.folder, file);
const read = (file: string): string => readFileSync(inFolder(file), "utf8");

/** On a connection of its own; rejects where it is refused or cut. */
const statusOf = (port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, headers: { host: "none.apps.example.test" }, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    }).on("error", reject);
  });

test("a plan says everything that will be made, and makes nothing", async () => {
  const planned = await world.setup(["--plan"]);
  expect(planned, planned.stderr).toMatchObject({ exitCode: 0 });
  for (const line of [
    "berth.capnp: new",
    "secrets.env: new",
    "bin/workerd: new",
    "S3 bucket berth-bundles",
    "migrations",
  ])
    expect(planned.stdout).toContain(line);
  expect(existsSync(world.folder)).toBe(false);
});

test(
  "a set-up that is killed half-way is finished by the same command, which keeps the keys it made",
  { timeout: 180_000 },
  async () => {
    // Its last step waits for this one: it is half-way however late the kill comes.
    const migration = new pg.Client({ connectionString: world.postgres.url });
    await migration.connect();
    await migration.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);
    const environment = { ...process.env, ...world.environment, XDG_CONFIG_HOME: world.home };
    const child = spawn(process.execPath, [BIN, ...world.argsOf()], { cwd: world.home, env: environment });
    const ended = once(child, "exit");
    while (!existsSync(inFolder("secrets.env"))) await sleep(1);
    child.kill("SIGKILL");
    await ended;
    await migration.end();
    const keys = read("secrets.env");
    const made = await world.setup();
    expect(made, made.stderr).toMatchObject({ exitCode: 0 });
    expect(made.stdout).not.toContain("secrets.env: ");
    expect(made.stdout).toContain("systemctl enable --now berth-companion berth-platform.socket berth-platform");
    expect(read("secrets.env")).toBe(keys);
  },
);

test("the set-up writes a folder whose units run: the API answers, and the first operator signs in", async () => {
  expect(statSync(inFolder("secrets.env")).mode & 0o777).toBe(0o600);
  const secret = /SECRETS_KEYS='(.*)'/.exec(read("secrets.env"))?.[1] ?? "none";
  for (const file of ["berth.capnp", "settings.json", "systemd/berth-platform.service"])
    expect(read(file)).not.toContain(secret);

  for (const unit of ["berth-companion", "berth-platform"])
    units.push(startUnit(inFolder(`systemd/${unit}.service`), join(world.home, "state")));
  await untilListening(world.port);
  await untilListening(world.port + 3);
  const api = `http://127.0.0.1:${world.port}`;
  const args = ["--email", "o@example.test", "--password-stdin", "--api", api];
  const first = await world.setup(args, {}, "a long enough password");
  expect(first, first.stderr).toMatchObject({ exitCode: 0 });
  const who = await runBerth(["whoami", "--json"], { cwd: world.home });
  expect(JSON.parse(who.stdout)).toMatchObject({ user: { email: "o@example.test" } });
  // The minute's sweep, through the clock's socket.
  expect((await fetch(`http://127.0.0.1:${world.port + 2}`, { method: "POST" })).status).toBe(204);
});

test("a restart of the platform refuses nobody: who comes meanwhile waits, and who was there is answered", async () => {
  const answers: Promise<number | string>[] = [];
  for (let visit = 0; visit < 40; visit++) {
    if (visit === 10) units[1]?.restart();
    answers.push(statusOf(world.port + 1).catch((error: Error) => error.message));
    await sleep(25);
  }
  // The edge knows no such app, and says so each time.
  expect(new Set(await Promise.all(answers))).toEqual(new Set([404]));
});

test("the same command again changes nothing, and keeps every key", async () => {
  const before = read("secrets.env");
  const again = await world.setup([], { BERTH_S3_ACCESS_KEY_ID: "", BERTH_S3_SECRET_ACCESS_KEY: "" });
  expect(again, again.stderr).toMatchObject({ exitCode: 0 });
  expect(again.stdout).toContain("nothing to do");
  expect(read("secrets.env")).toBe(before);
});

test("another setting changes only what it touches, and says what to restart", async () => {
  const changed = await world.setup(["--region", "north"]);
  expect(changed.stdout).toContain("berth.capnp: changed");
  expect(changed.stdout).not.toContain("secrets.env");
  expect(changed.stdout).toContain("systemctl restart berth-platform");
  expect(changed.stdout).not.toContain("daemon-reload");
});

test("systemd finds nothing wrong with the units", () => {
  const units = ["berth-companion.service", "berth-platform.socket", "berth-platform.service"];
  const paths = units.map((unit) => inFolder(`systemd/${unit}`));
  const said = execFileSync("systemd-analyze", ["verify", "--man=no", ...paths], { encoding: "utf8", stdio: "pipe" });
  expect(said).toBe("");
});
