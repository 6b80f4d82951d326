// Another team's things: at each route that names one, as if they were not there; and nowhere a trace of them. Generated from the
// OpenAPI document and the table of rights, against real workerd, objects and Postgres.
import { beforeAll, describe, expect, it, vi } from "vitest";
import { OPERATOR_RESOURCES } from "../../contracts/access.ts";
import type { ProjectId, TeamId } from "../../contracts/ids.ts";
import { mintId } from "../../db/ids.ts";
import { listAudit } from "../../db/queries/audit.ts";
import {
  appDatabase,
  ask,
  env,
  filled,
  forEachOf,
  newPerson,
  newTeam,
  operationsServed,
  type Operation,
  type Person,
} from "./access-world.ts";
import { clockGoesOn, stillClock } from "./still-clock.ts";

clockGoesOn();

/** A body that the operation takes: what is malformed is told so before anything is looked for. */
const BODIES: Record<string, unknown> = {
  patchApp: { replicas: 2 },
  createRelease: { spec: { source: { kind: "image", reference: "nginx:1.29" } } },
  putTraffic: { weights: [{ version: 1, weight: 100 }] },
  createOverride: { version: 1, ttlMs: 60_000 },
  patchEnvironment: { set: { STOLEN: "1" } },
  rollbackEnvironment: { versions: { STOLEN: 1 } },
  addDomain: { hostname: "stolen.example.org" },
  changeMember: { role: "viewer" },
  renameTeam: { name: "Stolen" },
};
/** What their path names is a name within the caller's own team: they make or find their own thing of it. */
const OWN_NAMES = new Set(["putRole", "deleteRole", "putRegistry", "deleteRegistry"]);

const all = await operationsServed();
const ofThings = all.filter(({ id, path, access }) => {
  const isOperators = access.kind === "asks" && (OPERATOR_RESOURCES as readonly string[]).includes(access.resource);
  return path.includes("{") && access.kind === "asks" && !isOperators && !OWN_NAMES.has(id);
});

type Things = Record<string, string>;
let a: { team: TeamId; slug: string; owner: Person; things: Things };
let b: { team: TeamId; owner: Person; own: Things };
const nobodys = (): Things => ({
  ...{ app: mintId("app"), rollout: mintId("roll"), token: mintId("tok"), member: mintId("user") },
  ...{ invitation: mintId("inv"), entry: mintId("entry"), team: mintId("team"), hostname: "nobodys.example.org" },
  ...{ hash: `sha256:${"0".repeat(64)}`, command: "pause" },
});

async function made(bearer: string, path: string, body: unknown, method = "POST"): Promise<Record<string, never>> {
  const answer = await ask(bearer, method, path, body);
  expect(answer.status, answer.text).toBeLessThan(300);
  return answer.body;
}

async function furnished(): Promise<{ team: TeamId; slug: string; owner: Person; things: Things }> {
  const { team, slug } = await newTeam();
  const owner = await newPerson({ team, role: "owner" });
  const colleague = await newPerson({ team, role: "developer" });
  const app = await made(owner.bearer, "/v1/apps", { name: `shop-${slug}` });
  const release = await made(owner.bearer, `/v1/apps/${app.id}/releases`, BODIES.createRelease);
  const token = await made(owner.bearer, "/v1/tokens", { name: "ci" });
  const invitation = await made(owner.bearer, "/v1/invitations", { email: `x@${slug}.example` });
  await made(owner.bearer, "/v1/projects", { name: `p-${slug}` });
  await made(owner.bearer, "/v1/roles/auditor", { policies: [{ resource: "audit", actions: ["read"] }] }, "PUT");
  await made(owner.bearer, `/v1/registries/${slug}.example`, { username: "u", password: "p" }, "PUT");
  const operator = await newPerson({ ...(await newTeam()), role: "viewer", operator: true, secondFactor: true });
  const entry = await made(operator.bearer, `/v1/teams/${team}/operator-entry`, { reason: "to look after it" });
  const things = {
    ...{
      app: app.id,
      entry: entry.id,
      rollout: (release.rollout as unknown as { id: string }).id,
      token: token.id,
      member: colleague.user,
    },
    ...{ invitation: invitation.id, team, hostname: "shop.example.org" },
    ...{ hash: `sha256:${"0".repeat(64)}`, command: "pause" },
  } as unknown as Things;
  return { team, slug, owner, things };
}

beforeAll(async () => {
  a = await furnished();
  const other = await furnished();
  b = { team: other.team, owner: other.owner, own: other.things };
}, 60_000);

const send = (bearer: string, { id, method, path, hasBody }: Operation, things: Things) =>
  ask(bearer, method, filled(path, things), BODIES[id] ?? (hasBody ? {} : undefined));

/** What is left of an answer once the names that were asked with are taken out. */
function shape(text: string, things: Things): string {
  const names = Object.values(things).reduce((left, name) => left.replaceAll(name, "…"), text);
  return names.replace(/"requestId":"[^"]*"/, "");
}

describe("team B at things of team A", () => {
  it("has something to try: every kind of id that a route of teams names", () => {
    expect(ofThings.length).toBeGreaterThan(25);
    const named = new Set(
      ofThings.flatMap(({ path }) => [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "")),
    );
    expect([...named].filter((name) => a.things[name] === undefined)).toEqual([]);
  });

  it("gets 404 at each, in the words of a thing that never was, and each is in its audit", async () => {
    const bad: string[] = [];
    await forEachOf(ofThings, async (operation) => {
      const none = nobodys();
      const foreign = await send(b.owner.bearer, operation, a.things);
      const unknown = await send(b.owner.bearer, operation, none);
      if (foreign.status !== 404) bad.push(`${operation.id}: ${foreign.status} ${foreign.text}`);
      if (shape(foreign.text, a.things) !== shape(unknown.text, none)) bad.push(`${operation.id}: tells the two apart`);
    });
    expect(bad).toEqual([]);
    const refused = await audited(b.team, "not_found");
    const missing = ofThings.filter(({ access }) => !refused.some(({ action }) => action === access.deed));
    expect(missing.map(({ id }) => id)).toEqual([]);
  });

  it("has Postgres asked exactly what a thing that never was has it asked", async () => {
    // What the Worker remembers for a while must not run out between the two.
    stillClock();
    const asked: string[] = [];
    const real = globalThis.fetch;
    const spy = vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
      if (String(input).includes(env.NEON_ADAPTER ?? "")) asked.push(statementsOf(init?.body));
      return real(input, init);
    });
    const bad: string[] = [];
    for (const operation of ofThings) {
      const counts = [];
      for (const things of [a.things, nobodys()]) {
        asked.length = 0;
        await send(b.owner.bearer, operation, things);
        counts.push(asked.join("\n"));
      }
      if (counts[0] === "" || counts[0] !== counts[1]) bad.push(operation.id);
    }
    spy.mockRestore();
    expect(bad).toEqual([]);
  });

  it("finds no trace of team A in any list, export or log that it may read", async () => {
    const secrets = [...Object.values(a.things).filter((name) => /_/.test(name)), a.slug, a.owner.user, a.owner.email];
    const reads = all.filter(({ method, access }) => method === "GET" && access.kind !== "public");
    const bad: string[] = [];
    let read = 0;
    await forEachOf(reads, async (operation) => {
      // A stream of events goes on for ever; what it begins with is asked in the tests of streams.
      if (operation.id === "events") return;
      const { status, text } = await send(b.owner.bearer, operation, b.own);
      if (status !== 200) return;
      read += 1;
      // The audit holds what team B itself typed into a path.
      if (operation.id.endsWith("Audit")) return;
      bad.push(...secrets.filter((secret) => text.includes(secret)).map((secret) => `${operation.id}: ${secret}`));
    });
    expect(bad).toEqual([]);
    expect(read).toBeGreaterThan(15);
    for (const entry of await audited(a.team)) expect(entry.actor).not.toContain(b.owner.user);
  });

  it("leaves everything of team A as it was", async () => {
    const { body } = await ask(a.owner.bearer, "GET", `/v1/apps/${a.things.app}`);
    expect(body).toMatchObject({ id: a.things.app, replicas: 1, envNames: [] });
    const members = await ask(a.owner.bearer, "GET", "/v1/members");
    expect(members.body.items.map(({ role }: { role: string }) => role).toSorted()).toEqual(["developer", "owner"]);
    const tokens = await ask(a.owner.bearer, "GET", "/v1/tokens");
    expect(tokens.body.items.map(({ id }: { id: string }) => id)).toEqual([a.things.token]);
    const [invitation] = (await ask(a.owner.bearer, "GET", "/v1/invitations")).body.items;
    expect(invitation).toMatchObject({ id: a.things.invitation, state: "open" });
    expect((await ask(a.owner.bearer, "GET", "/v1/whoami")).body.team.name).toBe("T");
  });
});

describe("a member who is limited to a project", () => {
  it("gets 404 at each route of an app in another project of the same team, and its own at the app's in theirs", async () => {
    const projects = (await ask(a.owner.bearer, "GET", "/v1/projects")).body.items as { id: ProjectId; name: string }[];
    const other = projects.find(({ name }) => name === `p-${a.slug}`);
    const limited = await newPerson({ team: a.team, role: "developer", projects: [other?.id ?? ("" as ProjectId)] });
    const mine = await made(limited.bearer, "/v1/apps", { name: "mine", project: `p-${a.slug}` });
    const bad: string[] = [];
    await forEachOf(
      ofThings.filter(({ path }) => path.startsWith("/v1/apps/{app}")),
      async (operation) => {
        const { status, text } = await send(limited.bearer, operation, a.things);
        if (status !== 404) bad.push(`${operation.id}: ${status} ${text}`);
      },
    );
    expect(bad).toEqual([]);
    const listed = (await ask(limited.bearer, "GET", "/v1/apps")).body.items as { id: string }[];
    expect(listed.map(({ id }) => id)).toEqual([mine.id]);
    const seen = (await ask(limited.bearer, "GET", "/v1/projects")).body.items as { id: string }[];
    expect(seen.map(({ id }) => id)).toEqual([other?.id]);
    expect((await ask(limited.bearer, "PATCH", `/v1/apps/${mine.id}`, { replicas: 0 })).status).toBe(202);
    const elsewhere = await ask(limited.bearer, "POST", "/v1/apps", { name: "not-mine", project: "default" });
    expect(elsewhere).toMatchObject({ status: 404, body: { code: "not_found" } });
  });
});

function statementsOf(body: unknown): string {
  const { query, queries } = JSON.parse(String(body)) as { query?: string; queries?: { query: string }[] };
  return query ?? (queries ?? []).map((each) => each.query).join("; ");
}

async function audited(team: TeamId, outcome?: string) {
  const page = await listAudit(appDatabase, team, { limit: 1_000, ...(outcome === undefined ? {} : { outcome }) });
  if (!page.ok) throw new Error(page.failure.message);
  return page.value.items;
}
