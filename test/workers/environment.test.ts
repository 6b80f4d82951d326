// Environments over the API: written and never read, kept in versions, and variables that one app has from another of its team.
import { beforeAll, expect, it } from "vitest";
import type { AppId, ProjectId, TeamId } from "../../contracts/ids.ts";
import { open } from "../../workers/control/secrets/seal.ts";
import { ask, env, newPerson, newTeam, type Answered, type Person } from "./access-world.ts";

let team: TeamId;
let owner: Person;
beforeAll(async () => {
  ({ team } = await newTeam());
  owner = await newPerson({ team, role: "owner" });
});

const SPEC = { spec: { source: { kind: "image", reference: "nginx:1.29" } } };
const as = (person: Person) => ({
  app: async (name: string, more: object = {}): Promise<AppId> =>
    (await ask(person.bearer, "POST", "/v1/apps", { name, ...more })).body.id,
  set: (app: string, body: object): Promise<Answered> => ask(person.bearer, "PATCH", `/v1/apps/${app}/env`, body),
  back: (app: string, versions: object) => ask(person.bearer, "POST", `/v1/apps/${app}/env/rollback`, { versions }),
  read: async (app: string, rest = "") => (await ask(person.bearer, "GET", `/v1/apps/${app}/env${rest}`)).body,
  release: (app: string) => ask(person.bearer, "POST", `/v1/apps/${app}/releases`, SPEC),
});
const refusal = ({ status, body }: Answered) => [status, body.errors?.[0]?.pointer, body.errors?.[0]?.message];

/** What the app's newest release would start with. */
async function carried(app: AppId, key: string): Promise<Record<string, string>> {
  const page = await env.APP.getByName(app).readSealed({ after: null });
  if (!page.ok) throw new Error(page.failure.message);
  const mine = page.value.items.filter((item) => item.key === key);
  const opened = mine.map(async ({ name, sealed }) => [
    name,
    await open(env.SECRETS_KEYS, { team, scope: app, name }, sealed),
  ]);
  return Object.fromEntries(await Promise.all(opened));
}

it("keeps every version of a variable with who and when, and gives one back in one release, without ever showing a value", async () => {
  const { app, set, back, read } = as(owner);
  const id = await app("versions");
  await set("versions", { set: { TOKEN: "first-value", MODE: "a" } });
  await set("versions", { set: { TOKEN: "second-value" } });
  await set("versions", { unset: ["TOKEN"] });
  const listed = await read("versions", "/versions?name=TOKEN");
  expect(listed.items.map((one: { version: number; kind: string }) => [one.version, one.kind])).toEqual([
    [3, "removed"],
    [2, "value"],
    [1, "value"],
  ]);
  expect(listed.items[0]).toMatchObject({ name: "TOKEN", actor: `user:${owner.user}` });
  expect((await read("versions", "/versions")).items).toHaveLength(4);
  const done = await back("versions", { TOKEN: 1, MODE: 1 });
  expect(done.status).toBe(202);
  expect(await carried(id, "draft")).toEqual({ TOKEN: "first-value", MODE: "a" });
  expect((await back("versions", { TOKEN: 3 })).status).toBe(202);
  expect((await read("versions")).names).toEqual(["MODE"]);
  for (const answer of [listed, await read("versions"), done.body])
    expect(JSON.stringify(answer)).not.toMatch(/first-value|second-value/);
});

it("says which versions there are where another was asked for", async () => {
  const { app, set, back } = as(owner);
  await app("asked");
  await set("asked", { set: { A: "1" } });
  expect(refusal(await back("asked", { A: 2 }))).toEqual([422, "/versions/A", "A has versions 1 to 1"]);
  expect(refusal(await back("asked", { B: 1 }))).toEqual([422, "/versions/B", "B was never set"]);
  expect((await back("asked", {})).status).toBe(400);
});

it("records a change that is asked for twice under one key once", async () => {
  const { app, read } = as(owner);
  await app("once");
  const twice = () =>
    ask(owner.bearer, "PATCH", "/v1/apps/once/env", { set: { A: "1" } }, env, { "idempotency-key": "k" });
  expect([(await twice()).status, (await twice()).status]).toEqual([202, 202]);
  expect((await read("once", "/versions")).items).toHaveLength(1);
});

it("takes a variable from another app at each release: the value of that moment, of a variable of a variable too", async () => {
  const { app, set, read, release } = as(owner);
  const [, web] = [await app("api"), await app("web")];
  await app("between");
  await set("api", { set: { DATABASE_URL: "postgres://one" } });
  expect((await set("between", { references: { DB: "api.DATABASE_URL" } })).status).toBe(202);
  expect((await set("web", { set: { OWN: "x" }, references: { URL: "between.DB" } })).status).toBe(202);
  expect(await read("web")).toMatchObject({
    names: ["OWN", "URL"],
    references: { URL: { appName: "between", name: "DB" } },
  });
  const first = (await release("web")).body.release.id;
  await set("api", { set: { DATABASE_URL: "postgres://two" } });
  await set("web", { set: { OWN: "y" } });
  const second = (await release("web")).body.release.id;
  expect(await carried(web, first)).toEqual({ OWN: "x", URL: "postgres://one" });
  expect(await carried(web, second)).toEqual({ OWN: "y", URL: "postgres://two" });
});

it("refuses what is not there and what goes in a circle, at once and at a release, and says where", async () => {
  const { app, set, release } = as(owner);
  for (const name of ["left", "right"]) await app(name);
  expect((await set("left", { references: { A: "nowhere.X" } })).body.detail).toContain("no app nowhere");
  const unset = refusal(await set("left", { references: { A: "right.X" } }));
  expect(unset).toEqual([422, "/references/A", expect.stringContaining("right.X, which is not set: berth env set X=")]);
  await set("right", { set: { X: "1" } });
  expect((await set("left", { references: { A: "right.X" } })).status).toBe(202);
  const circle = refusal(await set("right", { references: { X: "left.A" } }));
  expect(circle).toEqual([422, "/references/X", "goes in a circle: right.X → left.A → right.X"]);
  await set("right", { unset: ["X"] });
  expect(refusal(await release("left"))).toEqual([422, "/references/A", expect.stringContaining("which is not set")]);
  expect((await set("left", { set: { A: "x" }, references: { A: "right.X" } })).body.errors[0].pointer).toBe(
    "/references/A",
  );
});

it("lets nobody take a variable from where they may not change it, nor from another team", async () => {
  const project = (await ask(owner.bearer, "POST", "/v1/projects", { name: "mine" })).body.id as ProjectId;
  await as(owner).app("vault");
  await as(owner).set("vault", { set: { KEY: "k" } });
  await as(owner).app("limited", { project: "mine" });
  const limited = as(await newPerson({ team, role: "developer", projects: [project] }));
  expect((await limited.set("limited", { references: { K: "vault.KEY" } })).status).toBe(404);
  // Nor by going back to when somebody who may had taken it.
  await as(owner).set("limited", { references: { K: "vault.KEY" } });
  await as(owner).set("limited", { unset: ["K"] });
  expect(await limited.back("limited", { K: 1 })).toMatchObject({ status: 404 });
  expect(await as(owner).read("limited")).toMatchObject({ names: [], references: {} });
  expect(await limited.back("limited", { K: 2 }), "what takes nothing").toMatchObject({ status: 202 });
  expect(await as(owner).back("limited", { K: 1 })).toMatchObject({ status: 202 });
  expect(await as(owner).read("limited")).toMatchObject({ names: ["K"], references: { K: { appName: "vault" } } });
  await as(owner).set("vault", { unset: ["KEY"] });
  const gone = refusal(await as(owner).back("limited", { K: 1 }));
  expect(gone).toEqual([422, "/versions/K", expect.stringContaining("vault.KEY, which is not set")]);
  await as(owner).set("vault", { set: { KEY: "k" } });
  const viewer = as(await newPerson({ team, role: "viewer" }));
  expect((await viewer.set("limited", { references: { K: "vault.KEY" } })).status).toBe(403);
  const stranger = as(await newPerson({ team: (await newTeam()).team, role: "owner" }));
  await stranger.app("thief");
  expect((await stranger.set("thief", { references: { K: "vault.KEY" } })).status).toBe(404);
});
