// The keys of a self-hosted platform, from its folder: rotated and retired by command, looked after by the clock, and old ones told of.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runBerth, type Ran } from "../cli/run-berth.ts";
import { createSetupWorld, type SetupWorld } from "../self-hosted/setup-world.ts";
import { startUnit, type RunningUnit } from "../self-hosted/units.ts";
import { untilListening } from "../self-hosted/until-listening.ts";

/** In production two minutes; the waits themselves are in test/core/key-rules.test.ts. */
const TUNING = JSON.stringify({ keysSpreadMs: 300, keysFreshMs: 100 });
let world: SetupWorld;
let platform: RunningUnit;
const units: RunningUnit[] = [];
const inFolder = (file: string): string => join(world.folder, file);
const secretNames = (): string[] =>
  [...readFileSync(inFolder("secrets.env"), "utf8").matchAll(/^(SECRETS_KEYS\w*)=/gm)].map(([, name]) => name!);
const berth = (...args: string[]): Promise<Ran> => runBerth(args, { cwd: world.home, env: world.environment });

beforeAll(async () => {
  world = await createSetupWorld();
  expect(await world.setup()).toMatchObject({ exitCode: 0 });
  const settings = JSON.parse(readFileSync(inFolder("settings.json"), "utf8"));
  settings.vars.control = { TUNING };
  writeFileSync(inFolder("settings.json"), JSON.stringify(settings));
  expect(await world.setup()).toMatchObject({ exitCode: 0 });
  for (const unit of ["berth-companion", "berth-platform"])
    units.push(startUnit(inFolder(`systemd/${unit}.service`), join(world.home, "state")));
  platform = units[1]!;
  await untilListening(world.port);
  await untilListening(world.port + 3);
  const api = ["--email", "o@example.test", "--password-stdin", "--api", `http://127.0.0.1:${world.port}`];
  const first = await world.setup(api, {}, "a long enough password");
  expect(first, first.stderr).toMatchObject({ exitCode: 0 });
}, 120_000);
afterAll(async () => {
  await Promise.all(units.map((unit) => unit.stop()));
  await world?.end();
});

const inDatabase = async (text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> => {
  const client = new pg.Client({ connectionString: world.postgres.url });
  await client.connect();
  const { rows } = await client.query(text, [...values]);
  await client.end();
  return rows;
};
const minute = async (): Promise<void> =>
  expect((await fetch(`http://127.0.0.1:${world.port + 2}`, { method: "POST" })).status).toBe(204);
const keysOf = async (kind: string): Promise<[string, string][]> => {
  const { items } = JSON.parse((await berth("keys", "ls", "--json")).stdout);
  const mine = items.filter((one: { kind: string }) => one.kind === kind);
  return mine.map((one: { version: string; state: string }) => [one.version, one.state]);
};

test("a key-encryption key is written into the folder, and used once the platform was started with it", async () => {
  const rotating = berth("keys", "rotate", "kek", "--self-hosted", world.folder);
  while (!secretNames().includes("SECRETS_KEYS_2")) await sleep(50);
  // What the command asks for: systemctl restart berth-platform.
  await sleep(500);
  platform.restart();
  const rotated = await rotating;
  expect(rotated, rotated.stderr).toMatchObject({ exitCode: 0 });
  expect(rotated.stderr).toContain("systemctl restart berth-platform");
  expect(await keysOf("kek")).toEqual([
    ["1", "replaced"],
    ["2", "current"],
  ]);
});

test("it is not retired while what it made may be shown; a day later it goes without --force, and its secret from the folder", async () => {
  const soon = await berth("keys", "retire", "kek", "1", "--self-hosted", world.folder);
  expect(soon.exitCode).toBe(1);
  expect(soon.stderr).toMatch(/may still be shown\. \(until 20/);
  expect(secretNames()).toEqual(["SECRETS_KEYS", "SECRETS_KEYS_2"]);
  await inDatabase(
    "update platform_keys set replaced_at = now() - interval '26 hours' where kind = 'kek' and version = '1'",
  );
  const retired = await berth("keys", "retire", "kek", "1", "--self-hosted", world.folder);
  expect(retired, retired.stderr).toMatchObject({ exitCode: 0 });
  expect(secretNames()).toEqual(["SECRETS_KEYS_2"]);
  platform.restart();
  await sleep(300);
  expect(await keysOf("kek")).toEqual([
    ["1", "retired"],
    ["2", "current"],
  ]);
  // The set-up makes no first one anew.
  expect((await world.setup()).stdout).toContain("nothing to do");
  expect(secretNames()).toEqual(["SECRETS_KEYS_2"]);
});

test("the next one is numbered after it, also where the first is gone", async () => {
  const rotating = berth("keys", "rotate", "kek", "--self-hosted", world.folder);
  while (!secretNames().includes("SECRETS_KEYS_3")) await sleep(50);
  await sleep(500);
  platform.restart();
  expect(await rotating).toMatchObject({ exitCode: 0 });
  expect((await keysOf("kek")).at(-1)).toEqual(["3", "current"]);
});

test("the backups' recipient: what is wrapped from now on opens with the new identity, and the old one can go at once", async () => {
  const [one, other] = [await recipient(), await recipient()];
  const malformed = await berth("keys", "rotate", "backup", "--recipient", "age1nonsense");
  expect(malformed).toMatchObject({ exitCode: 2 });
  expect(malformed.stderr).toContain("recipient");
  expect(await berth("keys", "rotate", "backup", "--recipient", one)).toMatchObject({ exitCode: 0 });
  expect(await berth("keys", "rotate", "backup", "--recipient", other)).toMatchObject({ exitCode: 0 });
  expect(await keysOf("backup")).toEqual([
    [one, "replaced"],
    [other, "current"],
  ]);
  await sleep(400);
  const retired = await berth("keys", "retire", "backup", one);
  expect(retired, retired.stderr).toMatchObject({ exitCode: 0 });
});

test("the minute's clock tells once of a key that is too old, and doctor names it with the command that mends it", async () => {
  const told = async () => Number((await inDatabase("select count(*) as n from events where type = 'key.old'"))[0]?.n);
  await minute();
  expect(await told()).toBe(0);
  expect((await berth("doctor")).stdout).toContain("keys: none is older than it may be");
  await inDatabase("update platform_keys set activated_at = now() - interval '366 days' where kind = 'ticket'");
  await minute();
  await minute();
  expect(await told()).toBe(1);
  const doctor = await berth("doctor");
  expect(doctor.exitCode).toBe(1);
  expect(doctor.stdout).toMatch(/key ticket \S+: in use for 8784 h/);
  expect(doctor.stdout).toContain("berth keys rotate ticket");
  expect((await berth("keys", "ls")).stdout).toContain("too old: berth keys rotate ticket");
  // A month later it is said again.
  await inDatabase("update platform_keys set alarmed_at = now() - interval '31 days' where kind = 'ticket'");
  await minute();
  expect(await told()).toBe(2);
});

test("a sweep that nobody watches any more is ended by the clock", async () => {
  await inDatabase("update key_sweeps set stage = 'history', ended_at = null, cursor = '' where version = '3'");
  for (let minutes = 0; minutes < 5; minutes += 1) await minute();
  const [row] = await inDatabase("select stage, failed, ended_at from key_sweeps where version = '3'");
  expect(row).toMatchObject({ stage: "done", failed: "0" });
  expect(row?.ended_at).not.toBeNull();
});

test("the session secret: who is signed in stays so", async () => {
  expect(await berth("keys", "rotate", "session")).toMatchObject({ exitCode: 0 });
  expect((await keysOf("session")).map(([, state]) => state)).toEqual(["replaced", "current"]);
  expect(await berth("whoami")).toMatchObject({ exitCode: 0 });
});

const recipient = async (): Promise<string> => identityToRecipient(await generateX25519Identity());
