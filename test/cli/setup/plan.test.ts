// The plan as a pure function: what is missing, in which order, what is left alone, and what is in the way.
import { describe, expect, test } from "vitest";
import { conflictsOf } from "../../../cli/setup/conflicts.ts";
import { planSteps, type AtHand, type Step } from "../../../cli/setup/plan.ts";
import { planRemoval } from "../../../cli/setup/removal.ts";
import { wantedOf, zoneCandidates, type Choices } from "../../../cli/setup/wanted.ts";
import { apiHostIn, type DeployedWorker, type World } from "../../../cli/setup/world.ts";

const ZONE = { id: "z", name: "example.com", accountId: "a", accountName: "Acme" };
const CHOICES: Choices = { domain: "apps.example.com", name: "berth", apiHost: undefined, region: undefined };
const wanted = wantedOf(CHOICES, ZONE);
const AT_HAND: AtHand = { build: "b1", hasTicketKey: false, hasWorkerToken: false, needsSetupToken: false };
const EMPTY: World = {
  namespaceId: null,
  hasBucket: false,
  records: [],
  routes: [],
  packs: [{ id: "u", type: "universal", hosts: ["example.com", "*.example.com"], status: "active" }],
  fallback: { kind: "none" },
  control: null,
  edge: null,
  pendingMigrations: 6,
};
const SECRETS = ["DATABASE_URL_APP", "DATABASE_URL_AUTH", "CREDENTIAL_SIGNING_KEY", "TICKET_SIGNING_KEY"];
const ALL_SECRETS = [...SECRETS, "SECRETS_KEYS", "BETTER_AUTH_SECRET", "SETUP_TOKEN"];
const worker = (secrets: readonly string[], build = "b1", bypass: readonly string[] = []): DeployedWorker => ({
  vars: { BASE_DOMAIN: "apps.example.com", BERTH_SETUP: JSON.stringify({ build, bypass }) },
  secrets,
  hasSchedule: true,
});
const record = (name: string, comment: string | null, proxied = true) => ({
  id: name,
  name,
  type: "AAAA",
  content: "100::",
  proxied,
  comment,
});
const WHOLE: World = {
  namespaceId: "n",
  hasBucket: true,
  records: wanted.records.map(({ name }) => record(name, "berth berth")),
  routes: [
    { id: "1", pattern: "berth.example.com/*", script: "berth-control" },
    { id: "2", pattern: "*.apps.example.com/*", script: "berth-edge" },
    { id: "3", pattern: "*/*", script: "berth-edge" },
  ],
  packs: [{ id: "p", type: "advanced", hosts: ["example.com", "*.apps.example.com"], status: "active" }],
  fallback: { kind: "origin", origin: "berth-domains.example.com" },
  control: worker(ALL_SECRETS),
  edge: worker(["TICKET_SIGNING_KEY"]),
  pendingMigrations: 0,
};
const kinds = (steps: readonly Step[]) => steps.map(({ kind }) => kind);
const deploys = (world: World, atHand: Partial<AtHand> = {}) =>
  planSteps(wanted, world, { ...AT_HAND, ...atHand }).steps.flatMap((step) =>
    step.kind === "deploy" ? [[step.role, step.secrets]] : [],
  );

describe("the plan", () => {
  test("makes what others need before them, and the route for everything last", () => {
    const { steps } = planSteps(wanted, EMPTY, AT_HAND);
    expect([...new Set(kinds(steps))]).toEqual([
      "migrate",
      "create_namespace",
      "create_bucket",
      "order_certificate",
      "create_record",
      "deploy",
      "create_route",
      "set_fallback",
    ]);
    expect(steps.flatMap((step) => (step.kind === "create_route" ? [step.pattern] : [])).at(-1)).toBe("*/*");
  });

  test("is empty where everything is there", () => {
    expect(planSteps(wanted, WHOLE, AT_HAND).steps).toEqual([]);
  });

  test("orders no certificate where the zone's own covers the hostnames", () => {
    const atTop = wantedOf({ ...CHOICES, domain: "example.com" }, ZONE);
    expect(atTop.certificateHosts).toBeNull();
    expect(kinds(planSteps(atTop, EMPTY, AT_HAND).steps)).not.toContain("order_certificate");
  });

  test("deploys another build without touching a secret", () => {
    expect(deploys(WHOLE, { build: "b2" })).toEqual([
      ["control", []],
      ["edge", []],
    ]);
  });

  test("deploys again what was cut off before its schedule was set", () => {
    expect(deploys({ ...WHOLE, control: { ...worker(ALL_SECRETS), hasSchedule: false } })).toEqual([["control", []]]);
  });

  test("sets only the secrets that are missing, and both database URLs together", () => {
    const control = worker(ALL_SECRETS.filter((name) => name !== "DATABASE_URL_AUTH"));
    expect(deploys({ ...WHOLE, control })).toEqual([["control", ["DATABASE_URL_APP", "DATABASE_URL_AUTH"]]]);
  });

  test("gives the second Worker the tickets' key that this machine kept; where it is lost, both get a new one", () => {
    const world = { ...WHOLE, edge: null };
    expect(deploys(world, { hasTicketKey: true })).toEqual([["edge", ["TICKET_SIGNING_KEY"]]]);
    expect(deploys(world)).toEqual([
      ["control", ["TICKET_SIGNING_KEY"]],
      ["edge", ["TICKET_SIGNING_KEY"]],
    ]);
  });

  test("keeps the way of other proxied names by routes without a Worker, and remembers that they are its own", () => {
    const site = record("www.example.com", null);
    const world = { ...WHOLE, records: [...WHOLE.records, site, record("ssh.example.com", null, false)] };
    const { steps, bypass } = planSteps(wanted, world, AT_HAND);
    expect(bypass).toEqual(["www.example.com/*"]);
    expect(steps.filter(({ kind }) => kind === "create_route")).toMatchObject([
      { pattern: "www.example.com/*", worker: null },
    ]);
    const routes = [...WHOLE.routes, { id: "4", pattern: "www.example.com/*", script: null }];
    const after = planSteps(wanted, { ...world, routes, control: worker(ALL_SECRETS, "b1", bypass) }, AT_HAND);
    expect(after).toMatchObject({ steps: [], bypass });
  });

  test("leaves custom domains out where Cloudflare for SaaS is not switched on, and says so", () => {
    const world: World = { ...EMPTY, fallback: { kind: "unavailable", reason: "no access" } };
    const { steps, notes } = planSteps(wanted, world, AT_HAND);
    expect(kinds(steps)).not.toContain("set_fallback");
    expect(steps).not.toContainEqual(expect.objectContaining({ pattern: "*/*" }));
    expect(notes.join()).toContain("Cloudflare for SaaS");
  });
});

describe("what is in the way", () => {
  test("is nothing where all is the set-up's own", () => {
    expect(conflictsOf(wanted, WHOLE)).toEqual([]);
  });

  test.each<[string, Partial<World>, string]>([
    ["a platform of another domain", { control: { ...worker([]), vars: { BASE_DOMAIN: "x.org" } } }, "--name"],
    ["a Worker of somebody else", { edge: { ...worker([]), vars: {} } }, "no Worker of Berth"],
    ["a record of somebody else", { records: [record("berth.example.com", null)] }, "not the set-up's"],
    ["a route to another Worker", { routes: [{ id: "r", pattern: "*/*", script: "shop" }] }, "leads to shop"],
  ])("%s", (_name, part, words) => {
    expect(conflictsOf(wanted, { ...EMPTY, ...part }).join("\n")).toContain(words);
  });
});

describe("what is removed", () => {
  test("is the set-up's own alone, the route for everything before the exceptions to it", () => {
    const routes = [
      { id: "site", pattern: "www.example.com/*", script: null },
      { id: "own", pattern: "old.example.com/*", script: null },
      ...WHOLE.routes,
      { id: "shop", pattern: "shop.example.com/*", script: "shop" },
    ];
    const node = record("n-1.nodes.example.com", "A Berth node's", false);
    const records = [...WHOLE.records, node, record("www.example.com", null), record("x.nodes.example.com", null)];
    const world = { ...WHOLE, routes, records, control: worker(ALL_SECRETS, "b1", ["www.example.com/*"]) };
    const removals = planRemoval(wanted, world, false);
    const ids = removals.flatMap((one) => (one.kind === "route" ? [one.id] : []));
    expect(ids).toEqual(["1", "2", "3", "site"]);
    const removed = removals.flatMap((one) => (one.kind === "record" ? [one.name] : []));
    expect(removed).toEqual([...wanted.records.map(({ name }) => name), "n-1.nodes.example.com"]);
    expect(removals.map(({ kind }) => kind)).not.toContain("database");
    expect(planRemoval(wanted, world, true).at(-1)).toEqual({ kind: "database" });
  });
});

test("a zone is looked for from the domain upwards, never at a single label", () => {
  expect(zoneCandidates("a.b.example.com")).toEqual(["a.b.example.com", "b.example.com", "example.com"]);
});

test("the API's hostname is the one that is there, not the usual one, on a machine that was not told", () => {
  expect(apiHostIn(wanted, EMPTY)).toBeUndefined();
  const records = wantedOf({ ...CHOICES, apiHost: "control.example.com" }, ZONE).records;
  const world = { ...EMPTY, records: records.map(({ name }) => record(name, "berth berth")) };
  expect(apiHostIn(wanted, world)).toBe("control.example.com");
});
