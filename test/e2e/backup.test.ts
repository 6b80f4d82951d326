// Backup, wipe, restore, on the real stack: the platform is back, agents adopt what runs, and no visitor's request failed.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeSealed } from "../../cli/backup/envelope.ts";
import { SectionWriter } from "../../cli/backup/sections.ts";
import { BACKUP_FORMAT, type BackupHeader } from "../../contracts/backup.ts";
import { adminUrl } from "../../dev/postgres.ts";
import { profileOf } from "../../dev/stack/options.ts";
import type { StackState } from "../../dev/stack/state.ts";
import { stateOf, wipe } from "../../dev/stack/wipe.ts";
import { REGION_FILE } from "../../node-agent/snapshot-file.ts";
import { runBerth, type Ran } from "../cli/run-berth.ts";
import { deployed, instancesOf, readyOf, servingOf, visitorsOf } from "./nodes-support.ts";
import { createWorld, eventually, serving, versionServer, type World } from "./support.ts";

let world: World;
let state: StackState;
let identityFile: string;
let folder: string;
beforeAll(async () => {
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  world = await createWorld({
    agents: 2,
    runtime: "process",
    controlVars: { BACKUP_RECIPIENT: recipient },
    tuning: { adoptMs: 20_000, snapshotMakeMs: 200 },
    agentTuning: { snapshotMs: 300 },
  });
  state = stateOf(world.stack);
  identityFile = join(world.home, "identity.txt");
  writeFileSync(identityFile, `# made by a test\n${identity}\n`, { mode: 0o600 });
  folder = join(world.home, "backups");
  mkdirSync(folder);
});
afterAll(async () => await world?.end());

async function berth(...args: string[]): Promise<Ran> {
  const { postgres } = world.stack;
  const env = {
    BERTH_ADMIN_URL: adminUrl({ port: postgres.port, password: state.passwords.admin }, "berth"),
    BERTH_SETUP_TOKEN: state.secrets.SETUP_TOKEN,
    BERTH_BACKUP_RECIPIENT: await identityToRecipient(readFileSync(identityFile, "utf8").split("\n")[1]!),
  };
  return runBerth(args, { cwd: world.home, env });
}
/** The hostnames of the snapshot that the first node has. */
function snapshotNames(): string[] {
  const path = join(world.stack.agents[0]!.dir, REGION_FILE);
  if (!existsSync(path)) return [];
  const { routes } = JSON.parse(readFileSync(path, "utf8")) as { routes: { hostnames: string[] }[] };
  return routes.flatMap(({ hostnames }) => hostnames);
}
function watchSnapshot() {
  const seen: string[][] = [];
  const timer = setInterval(() => seen.push(snapshotNames()), 100);
  return {
    stop() {
      clearInterval(timer);
      return seen;
    },
  };
}
const backedUp = (): string =>
  join(
    folder,
    readdirSync(folder)
      .toSorted()
      .find((name) => name.endsWith(".age"))!,
  );

test("the platform is back after a restore, and no visitor noticed", async () => {
  await deployed(world, "shop", "replicas = 2\n", versionServer("first"));
  await deployed(world, "shop", "replicas = 2\n");
  const made = await berth("backup", "--to", folder, "--keep", "7d/4w", "--json");
  expect(made, made.stderr).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(made.stdout)).toMatchObject({
    ...{ keys: true, removed: [] },
    bundles: { all: 2, copied: 2, missing: [] },
  });
  // What happens after the backup: another instance of what it knows, and an app that it does not.
  expect(await world.berth(["scale", "3", "shop"])).toMatchObject({ exitCode: 0 });
  await deployed(world, "late", "replicas = 1\n");
  const before = (await servingOf(world, "shop")).map(({ id }) => id).toSorted();
  expect(before).toHaveLength(3);
  const visitors = visitorsOf(world, "shop", 40, 0);
  await serving(world, "shop", "shop");
  await serving(world, "late", "late");
  await eventually(
    async () => snapshotNames(),
    (names) => names.includes(`shop.${world.stack.baseDomain}`),
  );
  const watched = watchSnapshot();
  const lostAtMs = Date.now();
  await wipe(world.stack, { bundles: true });
  const restored = await berth("restore", backedUp(), "--identity-file", identityFile, "--json");
  expect(restored, restored.stderr).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(restored.stdout)).toMatchObject({ bundles: 2 });
  const after = await eventually(
    () => readyOf(world, "shop"),
    (rows) => rows.length >= 2,
    { withinMs: 90_000 },
  );
  expect(before).toEqual(expect.arrayContaining(after.map(({ id }) => id)));
  expect((await instancesOf(world, "shop")).every(({ restarts }) => restarts === 0)).toBe(true);
  if (profileOf({}) === "self-hosted") await serving(world, "shop", "shop");
  const backAtMs = Date.now();
  await sleep(1_000);
  // What break-glass ingress would have served meanwhile: no node ever heard of an emptied platform.
  expect(watched.stop().filter((names) => !names.includes(`shop.${world.stack.baseDomain}`))).toEqual([]);
  const seen = await visitors.stop();
  const failed = seen.filter(({ status }) => status !== 200);
  expect(seen.length).toBeGreaterThan(100);
  if (profileOf({}) === "self-hosted") {
    // Edge and routes are lost with the rest there: visitors are back with the restore, or served by the racks (break-glass.test.ts).
    expect(failed.filter(({ endedAtMs, startedAtMs }) => endedAtMs < lostAtMs || startedAtMs > backAtMs)).toEqual([]);
    return;
  }
  expect(failed).toEqual([]);
  // What the backup did not know runs on, by the route that the edge has.
  const late = await world.visit("late");
  expect(late, late.body).toMatchObject({ status: 200 });
});

test("what was deployed from a folder starts where it never ran, and a rollback finds the release before", async () => {
  const before = new Set((await readyOf(world, "shop")).map(({ id }) => id));
  // No node has them any more, as on servers that are new.
  for (const { name } of world.stack.agents)
    rmSync(join(world.stack.stateDir, "agents", name, "bundles"), { recursive: true });
  expect(await world.berth(["scale", String(before.size + 1), "shop"])).toMatchObject({ exitCode: 0 });
  await eventually(
    () => readyOf(world, "shop"),
    (rows) => rows.some(({ id }) => !before.has(id)),
  );
  const ran = await world.berth(["rollback", "shop"]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  await serving(world, "shop", "first");
});

test("a second backup beside the first copies none of its bundles again", async () => {
  const made = await berth("backup", "--to", folder, "--json");
  expect(made, made.stderr).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(made.stdout)).toMatchObject({ bundles: { all: 2, copied: 0, missing: [] } });
});

test("whoever signed in before is signed in, and deploys", async () => {
  const folderOfShop = join(world.home, "apps", "shop");
  writeFileSync(join(folderOfShop, "server.mjs"), versionServer("second"));
  const ran = await world.berth(["deploy", folderOfShop]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  await serving(world, "shop", "second");
});

test("what was deployed from a folder can be had back for any other place", async () => {
  const to = join(world.home, "export");
  const ran = await berth("export", "--to", to, "--json");
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  const expected = ["shop.compose.yaml", "shop.Dockerfile", "shop.tar.gz", "images.txt", "team.sql"];
  expect(JSON.parse(ran.stdout).files).toEqual(expected);
  expect(gunzipSync(readFileSync(join(to, "shop.tar.gz"))).toString()).toContain(versionServer("second"));
});

test("a second restore is refused, because the platform is not empty", async () => {
  const ran = await berth("restore", backedUp(), "--identity-file", identityFile);
  expect(ran.exitCode).toBe(1);
  expect(ran.stderr).toContain("not empty");
});

test("a backup of a newer version, and one with other keys, are refused by name before anything is written", async () => {
  const recipient = await identityToRecipient(readFileSync(identityFile, "utf8").split("\n")[1]!);
  const written = async (name: string, header: Partial<BackupHeader>): Promise<string> => {
    const writer = new SectionWriter();
    const keys = { wrapped: null, fingerprints: {} };
    const whole = { kind: "header", format: BACKUP_FORMAT, backup: name, platform: "99.0.0", migrations: [] } as const;
    const lines = [writer.header({ ...whole, startedAtMs: 1, keys, ...header }), writer.footer(2)];
    const path = join(world.home, name);
    await writeSealed(path, { kind: "recipient", recipient }, Readable.from(lines));
    return path;
  };
  const newer = await berth("restore", await written("newer", { migrations: [4e12] }), "--identity-file", identityFile);
  expect(newer).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("1 migrations that this Postgres lacks"),
  });
  expect(newer.stderr).toContain("99.0.0");
  const keys = { wrapped: null, fingerprints: { SECRETS_KEYS: "0123456789abcdef" } };
  const other = await berth("restore", await written("other", { keys }), "--identity-file", identityFile);
  expect(other).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("other keys than the backup's: SECRETS_KEYS"),
  });
});

test("a corrupt backup is refused before anything is written, whichever byte is another", async () => {
  const bytes = readFileSync(backedUp());
  const path = join(world.home, "corrupt");
  for (const at of [Math.floor(bytes.length / 2), bytes.length - 1]) {
    const corrupt = Buffer.from(bytes);
    corrupt.writeUInt8(corrupt.readUInt8(at) ^ 1, at);
    writeFileSync(path, corrupt);
    const ran = await berth("restore", path, "--identity-file", identityFile);
    expect(ran).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("damaged") });
    // It would say so of the platform, had it got that far.
    expect(ran.stderr).not.toContain("not empty");
  }
});

test("the keys come out of the backup for whoever holds the identity", async () => {
  const file = join(world.home, "keys.json");
  const ran = await berth("restore", backedUp(), "--identity-file", identityFile, "--keys-to", file);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  // What nothing was signed or sealed with is made anew by the next set-up.
  const { MAIL_TOKEN: _anew, ...kept } = state.secrets;
  expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject(kept);
  expect(ran.stdout).not.toContain(state.secrets.SETUP_TOKEN);
});
