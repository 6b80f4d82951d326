// Keys under load: every kind of key is rotated by command while visitors, nodes and deploys go on, and nothing is lost.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startStack } from "../../dev/stack.ts";
import { nodesAre } from "../e2e/nodes-support.ts";
import { SMALL, createWorld, eventually, versionServer, writeApp, type World } from "../e2e/support.ts";

/** Long waits are short here: how long they are in production is in core/limits.ts. */
const SPREAD_MS = 700;
const ring = (version: string): string =>
  JSON.stringify({ current: version, keys: { [version]: randomBytes(32).toString("base64url") } });

const tuning = { keysFreshMs: 200, keysSpreadMs: SPREAD_MS };
const second = ring("2");

let world: World;
let load: Load;
beforeAll(async () => {
  world = await createWorld({
    runtime: "process",
    agents: 2,
    tuning,
    agentTuning: { keysEveryMs: 400 },
    controlVars: { SECRETS_KEYS_2: second },
  });
  expect(await deploy("first")).toMatchObject({ exitCode: 0 });
  expect(await world.berth(["env", "set", "--app", "shop", "TOKEN=before the rotation"])).toMatchObject({
    exitCode: 0,
  });
  load = startLoad();
});
afterAll(async () => {
  await load?.stop();
  await world?.end();
});

const deploy = (text: string) =>
  world.berth([
    "deploy",
    writeApp(world.home, "shop", { "server.mjs": versionServer(text) }, `replicas = 2\n${SMALL}`),
  ]);
const keys = async () => (await world.api("GET", "/v1/keys")).body;
const stateOf = async (kind: string) =>
  (await keys()).items
    .filter((one: { kind: string }) => one.kind === kind)
    .map((one: { version: string; state: string }) => [one.version, one.state]);

interface Load {
  readonly failures: string[];
  asked: number;
  stop(): Promise<void>;
}

/** Visitors, and an operator who reads and writes. */
function startLoad(): Load {
  const stopping = new AbortController();
  const made = { failures: [] as string[], asked: 0 };
  const repeat = async (everyMs: number, ask: () => Promise<{ status: number; body: unknown }>) => {
    while (!stopping.signal.aborted) {
      const { status, body } = await ask().catch((error: Error) => ({ status: 0, body: error.message }));
      made.asked += 1;
      if (status < 200 || status > 299) made.failures.push(`${status} ${JSON.stringify(body).slice(0, 300)}`);
      await sleep(everyMs);
    }
  };
  const running = [
    repeat(15, () => world.visit("shop")),
    repeat(15, () => world.visit("shop")),
    repeat(60, () => world.api("GET", "/v1/apps/shop")),
    repeat(200, () => world.api("POST", "/v1/projects", { name: `p-${randomBytes(6).toString("hex")}` }, idempotent())),
  ];
  return {
    ...made,
    get asked() {
      return made.asked;
    },
    failures: made.failures,
    stop: async () => {
      stopping.abort();
      await Promise.all(running);
    },
  };
}
const idempotent = () => ({ "idempotency-key": randomBytes(8).toString("hex") });

test("the ticket key: nodes trust the new one before it signs, and visitors notice nothing", async () => {
  const ran = await world.berth(["keys", "rotate", "ticket"]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  expect((await stateOf("ticket")).map(([, state]: string[]) => state)).toEqual(["replaced", "current"]);
  const retired = await world.berth(["keys", "retire", "ticket", (await stateOf("ticket"))[0][0]]);
  expect(retired.exitCode).toBe(1);
  expect(retired.stderr).toContain("may still be shown");
});

test("the credential key: nodes trade their credentials, and then the old one can go", async () => {
  const ran = await world.berth(["keys", "rotate", "credential"]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  const [[old]] = await stateOf("credential");
  for (let tries = 0; ; tries += 1) {
    const retired = await world.berth(["keys", "retire", "credential", old]);
    if (retired.exitCode === 0) break;
    expect(retired.stderr).toMatch(/hold a credential by it|may still be shown/);
    expect(tries).toBeLessThan(60);
    await sleep(300);
  }
  expect((await stateOf("credential")).map(([, state]: string[]) => state)).toEqual(["retired", "current"]);
});

test("the session secret: who was signed in stays so", async () => {
  const { email, password } = world.stack.operator;
  const signedIn = await world.api("POST", "/v1/sign-in", { email, password });
  const before = signedIn.body.token as string;
  expect(await world.berth(["keys", "rotate", "session"])).toMatchObject({ exitCode: 0 });
  const asked = await world.api("GET", "/v1/whoami", undefined, { authorization: `Bearer ${before}` });
  expect(asked.status).toBe(200);
  const again = await world.api("POST", "/v1/sign-in", { email, password });
  expect(again.status).toBe(201);
  expect(again.body.token.split(".")[1]).not.toBe(before.split(".")[1]);
});

test("the key-encryption key: everything stored is wrapped anew, and a deploy in the midst of it goes through", async () => {
  const [rotated, deployed] = await Promise.all([
    world.berth(["keys", "rotate", "kek", "--to", "2"]),
    deploy("second"),
  ]);
  expect(rotated, rotated.stderr).toMatchObject({ exitCode: 0 });
  expect(deployed, deployed.stderr).toMatchObject({ exitCode: 0 });
  expect(await stateOf("kek")).toEqual([
    ["1", "replaced"],
    ["2", "current"],
  ]);
  await sleep(SPREAD_MS);
  const retired = await world.berth(["keys", "retire", "kek", "1"]);
  expect(retired.stderr).toContain("may still be shown");
  const { sweep } = await keys();
  expect(sweep).toMatchObject({ version: "2", stage: "done", failed: 0 });
  expect(await sealedUnder("1")).toBe(0);
  expect(await world.berth(["keys", "retire", "kek", "1", "--force"])).toMatchObject({ exitCode: 0 });
  // What was set before opens for a new instance.
  expect(await world.berth(["restart", "shop"])).toMatchObject({ exitCode: 0 });
  expect((await world.visit("shop")).status).toBe(200);
});

test("nothing was lost meanwhile: not a visit, not a call, not a heartbeat", async () => {
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.asked).toBeGreaterThan(200);
  await nodesAre(world, "ready");
});

test("the key-encryption key of `npm start`: written into its state, used once it was started again", async () => {
  const { stateDir } = world.stack;
  const rotating = world.berth(["keys", "rotate", "kek", "--local", stateDir]);
  const written = () => JSON.parse(readFileSync(join(stateDir, "stack.json"), "utf8")).secrets.SECRETS_KEYS_3;
  await eventually(
    async () => written(),
    (text) => text !== undefined,
  );
  await world.stack.stop();
  const again = await startStack({
    ...{ stateDir, runtime: "process", agents: 2, fsync: false },
    vars: { control: { TUNING: JSON.stringify(tuning), SECRETS_KEYS_2: second } },
  });
  const rotated = await rotating;
  await again.stop();
  expect(rotated, rotated.stderr).toMatchObject({ exitCode: 0 });
  expect(rotated.stderr).toContain("npm start, after it was stopped");
});

async function sealedUnder(version: string): Promise<number> {
  const client = new pg.Client({ connectionString: world.stack.postgres.adminUrl });
  await client.connect();
  const mark = `%"kek":"${version}"%`;
  const { rows } = await client.query(
    `select (select count(*) from environment_versions where sealed like $1)
       + (select count(*) from idempotency_keys where body::text like $2)
       + (select count(*) from platform_keys where sealed like $1) as n`,
    [mark, `%\\"kek\\":\\"${version}\\"%`],
  );
  await client.end();
  return Number(rows[0].n);
}
