// A key-encryption key on Cloudflare, whole: given to the Worker as a secret, used, and the old one retired and taken from it, while the
// app goes on. The API is the stand-in's; what Cloudflare does with a changed secret (a new version of the Worker) is done here by hand.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addAccount, addZone, type Script, type Zone } from "../../dev/cloudflare/account.ts";
import { startCloudflare, type Standin } from "../../dev/cloudflare/server.ts";
import { beginBerth, type Ran } from "../cli/run-berth.ts";
import { createWorld, eventually, SMALL, versionServer, writeApp, type World } from "../e2e/support.ts";

const TOKEN = "cf-token-that-nobody-may-see";
const KEK = /^SECRETS_KEYS(_\w+)?$/;
/** In production two minutes; the waits themselves are in test/core/key-rules.test.ts. */
const tuning = { keysSpreadMs: 300, keysFreshMs: 100 };
let world: World;
let cloudflare: Standin;
let script: Script;
beforeAll(async () => {
  [world, cloudflare] = await Promise.all([createWorld({ runtime: "process", agents: 1, tuning }), startCloudflare()]);
  const account = addAccount(cloudflare.cloud, "Acme");
  script = workerOf(addZone(cloudflare.cloud, account, "example.com"), account.id);
  account.scripts.set("berth-control", script);
  const folder = writeApp(world.home, "shop", { "server.mjs": versionServer("one") }, SMALL);
  expect(await world.berth(["deploy", folder])).toMatchObject({ exitCode: 0 });
  expect(await world.berth(["env", "set", "--app", "shop", "SECRET=from before"])).toMatchObject({ exitCode: 0 });
});
afterAll(async () => {
  await cloudflare?.close();
  await world?.end();
});

const planPath = (): string => join(world.stack.stateDir, "plans/control.json");
const plan = (): { bindings: Record<string, string> } => JSON.parse(readFileSync(planPath(), "utf8"));
const keksIn = (bindings: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(bindings).filter(([name]) => KEK.test(name)));

/** The Worker as the set-up left it, with the secrets that the running one has. */
function workerOf(zone: Zone, accountId: string): Script {
  const permissions = { "Workers Scripts": "Edit", Zone: "Read" } as const;
  const token = { id: "token-1", accounts: [accountId], zones: [zone.id], permissions, status: "active" } as const;
  cloudflare.cloud.tokens.set(TOKEN, token);
  const secrets = new Map(Object.entries(keksIn(plan().bindings)));
  const bindings = [...secrets.keys()].map((name) => ({ type: "secret_text", name }));
  const nothing = { migrationTag: null, classes: [], crons: [], subdomain: false, uploads: 0, versions: [] };
  return { tag: "control", bindings, secrets, ...nothing };
}

/** From now on the Worker has the secrets that were set, and no others. */
async function newVersion(): Promise<void> {
  const { bindings, ...rest } = plan();
  const others = Object.entries(bindings).filter(([name]) => !KEK.test(name));
  const all = Object.fromEntries([...others, ...script.secrets]);
  writeFileSync(planPath(), JSON.stringify({ ...rest, bindings: all }));
  await world.stack.restart("control");
}

const berth = (...args: string[]) => {
  const env = { CLOUDFLARE_API_TOKEN: TOKEN, CLOUDFLARE_API_BASE_URL: cloudflare.url };
  return beginBerth(["keys", ...args, "--domain", "apps.example.com"], { cwd: world.home, env });
};
const secretOfApp = async (): Promise<string> => JSON.parse((await world.visit("shop")).body).secret;
const keks = async (): Promise<[string, string][]> => {
  const { items } = (await world.api("GET", "/v1/keys")).body;
  const mine = items.filter(({ kind }: { kind: string }) => kind === "kek");
  return mine.map(({ version, state }: { version: string; state: string }) => [version, state]);
};
/** Nothing that opens anything was printed. */
const saidNoKey = ({ stdout, stderr }: Ran): boolean =>
  [TOKEN, ...Object.values(keksIn(plan().bindings)), ...script.secrets.values()]
    .flatMap((text) => [text, ...(text.match(/[\w-]{43}/g) ?? [])])
    .every((secret) => !`${stdout}${stderr}`.includes(secret));

test("rotated: the key is set as a secret of its own, and used once the Worker has it; the same command goes on after it was stopped", async () => {
  cloudflare.loseAnswerTo = /^PUT .*\/secrets$/;
  const first = berth("rotate", "kek");
  await eventually(
    async () => first.said.stderr,
    (said) => said.includes("not prepared yet"),
  );
  first.stop();
  await first.ended;
  const set = script.secrets.get("SECRETS_KEYS_2");
  expect(JSON.parse(set ?? "null")).toMatchObject({ current: "2", keys: { 2: expect.stringMatching(/^[\w-]{43}$/) } });
  expect(await keks()).toEqual([["1", "current"]]);
  const again = berth("rotate", "kek");
  await eventually(
    async () => again.said.stderr,
    (said) => said.includes("not prepared yet"),
  );
  await newVersion();
  const rotated = await again.ended;
  expect(rotated, rotated.stderr).toMatchObject({ exitCode: 0 });
  expect(script.secrets.get("SECRETS_KEYS_2"), "what is there is never replaced").toBe(set);
  expect(saidNoKey(rotated)).toBe(true);
  expect(await keks()).toEqual([
    ["1", "replaced"],
    ["2", "current"],
  ]);
});

test("retired: refused while something may be by it; a day later the secret goes, and without it everything opens still", async () => {
  const soon = await berth("retire", "kek", "1").ended;
  expect(soon).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("may still be shown") });
  expect([...script.secrets.keys()]).toEqual(["SECRETS_KEYS", "SECRETS_KEYS_2"]);
  await aDayPasses();
  const retired = await berth("retire", "kek", "1").ended;
  expect(retired, retired.stderr).toMatchObject({ exitCode: 0 });
  expect(saidNoKey(retired)).toBe(true);
  expect([...script.secrets.keys()]).toEqual(["SECRETS_KEYS_2"]);
  await newVersion();
  expect(Object.keys(keksIn(plan().bindings))).toEqual(["SECRETS_KEYS_2"]);
  expect(await keks()).toEqual([
    ["1", "retired"],
    ["2", "current"],
  ]);
  expect(await world.berth(["restart", "shop"])).toMatchObject({ exitCode: 0 });
  expect(await secretOfApp()).toBe("from before");
  expect(await world.berth(["env", "set", "--app", "shop", "SECRET=from after"])).toMatchObject({ exitCode: 0 });
  await eventually(secretOfApp, (secret) => secret === "from after");
});

async function aDayPasses(): Promise<void> {
  const client = new pg.Client({ connectionString: world.stack.postgres.adminUrl });
  await client.connect();
  const { rowCount } = await client.query(
    "update platform_keys set replaced_at = now() - interval '26 hours' where kind = 'kek' and version = '1'",
  );
  await client.end();
  expect(rowCount).toBe(1);
}

test("a token that may not touch Workers is told which permission is missing, before anything is changed", async () => {
  const token = cloudflare.cloud.tokens.get(TOKEN)!;
  token.permissions = { Zone: "Read" };
  const before = [...script.secrets];
  const ran = await berth("rotate", "kek").ended;
  token.permissions = { Zone: "Read", "Workers Scripts": "Edit" };
  expect(ran.exitCode).not.toBe(0);
  expect(ran.stderr).toContain("Workers Scripts");
  expect([...script.secrets]).toEqual(before);
  expect((await keks()).at(-1)).toEqual(["2", "current"]);
});

test("every call was one that Cloudflare's API has, with the fields that it has", () => {
  const changing = cloudflare.calls.filter(({ call }) => !call.startsWith("GET"));
  expect(changing.map(({ call }) => call.replace(/^(\w+) .*\/scripts\//, "$1 "))).toEqual([
    "PUT berth-control/secrets",
    "PUT berth-control/secrets",
    "DELETE berth-control/secrets/SECRETS_KEYS",
  ]);
  expect(cloudflare.calls.filter(({ status }) => status === 400 || status === 404 || status >= 500)).toEqual([]);
});
