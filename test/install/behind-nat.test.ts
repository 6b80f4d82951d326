// First-day scenario 15: one line enrols a bare server behind NAT in 60 s; the token a second time is refused, and audited.
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodesAre, deployed, instancesOf } from "../e2e/nodes-support.ts";
import { eventually } from "../e2e/support.ts";
import { BareNetwork, type BareSystem } from "./bare-system.ts";
import { Installation } from "./installation.ts";

const APP = "office-app";
let here: Installation;
let server: BareSystem;
let another: BareSystem;
let token: string;

beforeAll(async () => {
  const network = await BareNetwork.create({ nat: true });
  here = await Installation.create({ network, agents: 1, ownNetworks: true, runtime: "process" });
  await nodesAre(here.world, "ready");
  [server, another] = await Promise.all([here.network.boot(), here.network.boot()]);
  await server.hide();
  token = await here.token();
}, 400_000);
afterAll(() => here?.end());

test("one line: within 60 s it is ready, reached through another node, and said to be", async () => {
  const startedAtMs = performance.now();
  const ran = await here.install(server, `--token ${token} --name office --runtime process --reach relay`);
  expect(ran, ran.out).toMatchObject({ code: 0 });
  const found = await eventually(
    () => here.nodes(),
    (all) =>
      all.some(({ name, phase, conditions }) => name === "office" && phase === "ready" && conditions.length === 0),
  );
  expect(performance.now() - startedAtMs).toBeLessThan(60_000);
  const gatewayOf = (wanted: string) => found.find(({ name }) => name === wanted)?.gatewayUrl;
  expect(gatewayOf("office")).toBe(gatewayOf("node-1"));
  const { stdout } = await here.world.berth(["nodes", "show", "office"]);
  expect(stdout).toMatch(/reached through node-1 \(node_\w+\), with connections to 1 relays/);
  expect(stdout).toContain("host ports for instances: none; nobody dials them here");
}, 120_000);

test("an app is placed on it, verified there, and serves visitors through the edge", async () => {
  await deployed(here.world, APP, "replicas = 2\n");
  const items = await instancesOf(here.world, APP);
  const hidden = items.find(({ nodeName, phase }) => nodeName === "office" && phase === "ready")?.id;
  expect(hidden).toBeDefined();
  await eventually(
    () => here.world.visit(APP),
    ({ status, body }) => status === 200 && (JSON.parse(body) as { instance: string }).instance === hidden,
  );
}, 60_000);

test("the same token on another server is refused with what to type, and the use of it is in the audit", async () => {
  const ran = await here.install(another, `--token ${token} --name second --runtime process --reach relay`);
  expect(ran.code).toBe(1);
  expect(ran.out).toMatch(/refuses this server: .*join_token_used/);
  expect(ran.out).toContain("berth nodes token makes a new one");
  expect((await here.nodes()).map(({ name }) => name).toSorted()).toEqual(["node-1", "office"]);
  const database = new pg.Client({ connectionString: here.world.stack.postgres.adminUrl });
  await database.connect();
  const audited = await database.query("select actor, outcome from audit where action = 'join_token.use'");
  await database.end();
  expect(audited.rows).toEqual([{ actor: expect.stringMatching(/^key:/), outcome: "join_token_used" }]);
});
