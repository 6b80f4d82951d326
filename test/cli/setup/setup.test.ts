// The whole way of `berth setup` as an operator types it: plan, set-up with real wrangler deploys, again, from another machine, and out again.
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endState, expectedEndState } from "./end-state.ts";
import { DOMAIN, startGround, type Ground } from "./ground.ts";

let ground: Ground;
beforeAll(async () => void (ground = await startGround()));
afterAll(() => ground.end());

const changing = ({ cloudflare }: Ground) =>
  cloudflare.calls.filter(({ call, status }) => !call.startsWith("GET") && status < 400).map(({ call }) => call);
/** The stand-in would say so if a call were none of Cloudflare's, or had a field or parameter that it does not know. */
const malformed = ({ cloudflare }: Ground) => cloudflare.calls.filter(({ status }) => status === 400 || status >= 500);

async function tables({ adminUrl }: Ground): Promise<number> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  const { rows } = await client.query("select count(*)::int as n from pg_tables where tableowner = 'berth_owner'");
  await client.end();
  return rows[0].n;
}

test("--plan prints each step and what a month costs, and only reads", async () => {
  const ran = await ground.setup("--plan", "--nodes", "100", "--requests", "50000000");
  expect(ran).toMatchObject({ exitCode: 0 });
  for (const words of ["KV namespace berth-routes", "Worker berth-control", "Route *.apps.example.com/*", "In all"])
    expect(ran.stdout).toContain(words);
  expect(ground.cloudflare.calls.filter(({ call }) => !call.startsWith("GET"))).toEqual([]);
  expect(await tables(ground)).toBe(0);
});

test("without a terminal and without --yes nothing is made", async () => {
  const ran = await ground.setup();
  expect(ran.exitCode).toBe(2);
  expect(ran.stderr).toContain("--yes");
  expect(changing(ground)).toEqual([]);
});

test("one command makes everything, by wrangler's real deploy, and prints no secret", async () => {
  ground.zone.records.push(
    { id: "site", name: "www.example.com", type: "A", content: "192.0.2.1", proxied: true, ttl: 1, comment: null },
    { id: "mail", name: "mail.example.com", type: "A", content: "192.0.2.2", proxied: false, ttl: 1, comment: null },
  );
  const ran = await ground.setup("--yes");
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  expect(ran.stdout).toContain("https://berth.example.com");
  expect(malformed(ground)).toEqual([]);
  expect(endState(ground)).toEqual(expectedEndState);
  for (const secret of [...secretsOf("berth-control"), ...secretsOf("berth-edge")])
    expect(ran.stdout + ran.stderr).not.toContain(secret);
});

const secretsOf = (worker: string): string[] => [...(ground.account.scripts.get(worker)?.secrets.values() ?? [])];

test("both Workers sign tickets with one key, and the URLs they got open the database", async () => {
  const secrets = ground.account.scripts.get("berth-control")?.secrets;
  expect(ground.account.scripts.get("berth-edge")?.secrets.get("TICKET_SIGNING_KEY")).toBe(
    secrets?.get("TICKET_SIGNING_KEY"),
  );
  expect(JSON.parse(secrets?.get("CREDENTIAL_SIGNING_KEY") ?? "")).toMatchObject({ kty: "OKP", crv: "Ed25519" });
  for (const [name, role] of [
    ["DATABASE_URL_APP", "berth_app"],
    ["DATABASE_URL_AUTH", "berth_auth"],
  ] as const) {
    const client = new pg.Client({ connectionString: secrets?.get(name) });
    await client.connect();
    expect((await client.query("select current_user as name")).rows).toEqual([{ name: role }]);
    await client.end();
  }
});

test("the same command from another machine finds everything there, and changes nothing", async () => {
  const before = changing(ground).length;
  const secrets = secretsOf("berth-control");
  ground.otherMachine();
  const ran = await ground.setup("--yes", "--json");
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(ran.stdout)).toMatchObject({ made: [] });
  expect(changing(ground).length).toBe(before);
  expect(secretsOf("berth-control")).toEqual(secrets);
});

test("a further key-encryption key is put beside the first, never over one, and taken away by its name alone", async () => {
  const secrets = ground.account.scripts.get("berth-control")!.secrets;
  const [first, names] = [secrets.get("SECRETS_KEYS"), [...secrets.keys()]];
  const place = await ground.kekPlace();
  await place.add("2", "the second ring");
  await place.add("2", "another one, which would shut what the second sealed");
  expect([secrets.get("SECRETS_KEYS_2"), secrets.get("SECRETS_KEYS")]).toEqual(["the second ring", first]);
  // A set-up after it knows it for a key-encryption key, and deploys without touching it.
  expect(JSON.parse((await ground.setup("--yes", "--json")).stdout)).toMatchObject({ made: [] });
  await place.remove("3", ["1", "2"]);
  await place.remove("2", ["1"]);
  expect([...secrets.keys()]).toEqual(names);
  // The first ring goes once nothing of it is needed.
  await place.add("2", "the second ring");
  await place.remove("1", ["2"]);
  expect(secrets.has("SECRETS_KEYS")).toBe(false);
  secrets.delete("SECRETS_KEYS_2");
  secrets.set("SECRETS_KEYS", first!);
  expect(malformed(ground)).toEqual([]);
});

test("--destroy lists first, wants the domain's name, and leaves the data in Postgres", async () => {
  const refused = await ground.setup("--destroy", "--confirm", "other.example.com");
  expect(refused).toMatchObject({ exitCode: 2 });
  const unasked = await ground.setup("--destroy");
  expect(unasked.exitCode).toBe(2);
  expect(endState(ground)).toEqual(expectedEndState);
  ground.account.buckets.get("berth-bundles")?.add("bundles/a b").add("bundles/c");
  const ran = await ground.setup("--destroy", "--confirm", DOMAIN);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  expect(ran.stdout).toContain("Postgres stays as it is");
  expect(malformed(ground)).toEqual([]);
  const { account, zone } = ground;
  expect([account.scripts.size, account.namespaces.length, account.buckets.size]).toEqual([0, 0, 0]);
  expect([zone.routes, zone.fallbackOrigin, zone.packs.map(({ type }) => type)]).toEqual([[], null, ["universal"]]);
  expect(zone.records.map(({ id }) => id)).toEqual(["site", "mail"]);
  expect(await tables(ground)).toBeGreaterThan(10);
});

test("--destroy --drop-data removes the tables and the roles too", async () => {
  const ran = await ground.setup("--destroy", "--drop-data", "--confirm", DOMAIN);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  expect(await tables(ground)).toBe(0);
  const client = new pg.Client({ connectionString: ground.adminUrl });
  await client.connect();
  const { rows } = await client.query("select rolname from pg_roles where rolname ~ '^berth_(owner|auth|app)$'");
  await client.end();
  expect(rows).toEqual([]);
});
