// Teams over the API: who is invited, joins, rises, falls and goes; roles of a team's own; what tokens may.
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { TeamId } from "../../contracts/ids.ts";
import { mintId } from "../../db/ids.ts";
import { listAudit } from "../../db/queries/audit.ts";
import { invite } from "../../db/queries/invitations.ts";
import { sha256Hex } from "../../workers/control/sha256.ts";
import { appDatabase, ask, env, newPerson, newTeam, type Answered, type Person } from "./access-world.ts";

let team: TeamId;
let owner: Person;
beforeEach(async () => {
  ({ team } = await newTeam());
  owner = await newPerson({ team, role: "owner" });
});

const codes = (answers: readonly Answered[]) => answers.map(({ status, body }) => (body?.code as string) ?? status);
const inTeam = (person: Person, method: string, path: string, body?: unknown) => ask(person.bearer, method, path, body);
/** A user who is in a team of their own alone. */
const stranger = async (): Promise<Person> => newPerson({ team: (await newTeam()).team, role: "owner" });
const invited = async (person: Person, more: object = {}): Promise<Answered> =>
  inTeam(owner, "POST", "/v1/invitations", { email: person.email, ...more });
const accept = (person: Person, token: string) => inTeam(person, "POST", "/v1/invitations/accept", { token });
const roles = async () => {
  const { body } = await inTeam(owner, "GET", "/v1/members");
  return Object.fromEntries((body.items as { user: string; role: string }[]).map(({ user, role }) => [user, role]));
};
const open = async () =>
  ((await inTeam(owner, "GET", "/v1/invitations")).body.items as { state: string }[]).map(({ state }) => state);

describe("an invitation", () => {
  it("brings whom it was sent to into the team, in the role and projects that it names, however often it is accepted", async () => {
    await inTeam(owner, "POST", "/v1/projects", { name: "shop" });
    const person = await stranger();
    const made = await invited(person, { role: "viewer", projects: ["shop"] });
    expect(made).toMatchObject({ status: 201, body: { email: person.email, role: "viewer", state: "open" } });
    const first = await accept(person, made.body.token);
    expect(first).toMatchObject({ status: 200, body: { id: team, role: "viewer" } });
    expect(await accept(person, made.body.token)).toMatchObject({ status: 200, body: { id: team } });
    const listed = (await inTeam(owner, "GET", "/v1/members")).body.items as { user: string }[];
    expect(listed.find(({ user }) => user === person.user)).toMatchObject({
      ...{ email: person.email, role: "viewer", projects: ["shop"] },
    });
    expect(await open()).toEqual(["accepted"]);
  });

  it("leaves as a letter to the invited, which holds what accepts it", async () => {
    const letters: string[] = [];
    const real = globalThis.fetch;
    const spy = vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
      if (!String(input).startsWith("http://mail.test")) return real(input, init);
      letters.push(String(init?.body));
      return Promise.resolve(new Response(null, { status: 202 }));
    });
    const person = await stranger();
    const withMail = { ...env, MAIL_URL: "http://mail.test", CONTROL_ORIGIN: "https://berth.test" };
    const { body } = await ask(owner.bearer, "POST", "/v1/invitations", { email: person.email }, withMail);
    spy.mockRestore();
    expect(letters).toHaveLength(1);
    expect(JSON.parse(letters[0] ?? "")).toMatchObject({ to: person.email });
    expect(letters[0]).toContain(`berth --api https://berth.test members accept ${body.token}`);
  });

  it("opens nothing to another address, an API token, or once revoked, expired, replaced or used", async () => {
    const [person, other] = [await stranger(), await stranger()];
    const first = (await invited(person)).body;
    expect(codes([await accept(other, first.token), await accept(person, "x".repeat(43))])).toEqual([
      "not_found",
      "not_found",
    ]);
    const tried = await listAudit(appDatabase, null, { limit: 9, actor: `user:${other.user}` });
    expect(tried, "who tried is in the installation's audit").toMatchObject({
      value: { items: [{ action: "invitation.accept", outcome: "not_found", subject: other.email }] },
    });
    const { token } = (await inTeam(person, "POST", "/v1/tokens", { name: "t" })).body;
    expect(codes([await ask(token, "POST", "/v1/invitations/accept", { token: first.token })])).toEqual(["forbidden"]);
    const second = (await invited(person)).body;
    expect(codes([await accept(person, first.token)])).toEqual(["gone"]);
    expect((await inTeam(owner, "DELETE", `/v1/invitations/${second.id}`)).status).toBe(204);
    expect(codes([await accept(person, second.token)])).toEqual(["gone"]);
    expect(codes([await inTeam(owner, "DELETE", `/v1/invitations/${second.id}`)])).toEqual(["not_found"]);
    const late = { token: "late".repeat(8), expiresAtMs: Date.now() - 1 };
    await invite(appDatabase, {
      ...{
        id: mintId("inv"),
        team,
        email: person.email,
        role: "viewer",
        projectIds: null,
        ...{ actor: "system", inviter: owner.user },
        openMax: 9,
      },
      ...{ hash: await sha256Hex(late.token), expiresAtMs: late.expiresAtMs },
    });
    expect(codes([await accept(person, late.token)])).toEqual(["gone"]);
    expect(await open()).toEqual(["expired", "revoked", "revoked"]);
    expect(Object.keys(await roles())).toEqual([owner.user]);
  });

  it("is refused for a role or project that is not there, and beyond what the inviter may", async () => {
    const person = await stranger();
    expect(codes([await invited(person, { role: "pirate" }), await invited(person, { projects: ["none"] })])).toEqual([
      "unprocessable",
      "unprocessable",
    ]);
    const admin = await newPerson({ team, role: "admin" });
    const developer = await newPerson({ team, role: "developer" });
    const body = { email: person.email, role: "owner" };
    expect(codes([await inTeam(admin, "POST", "/v1/invitations", body)])).toEqual(["forbidden"]);
    expect(codes([await inTeam(developer, "POST", "/v1/invitations", { email: person.email })])).toEqual(["forbidden"]);
  });
});

describe("members", () => {
  it("are changed and removed by those who may as much as they do, and by nobody with less", async () => {
    const admin = await newPerson({ team, role: "admin" });
    const developer = await newPerson({ team, role: "developer" });
    const change = (by: Person, who: Person, role: string) => inTeam(by, "PATCH", `/v1/members/${who.user}`, { role });
    expect(codes([await change(admin, owner, "viewer"), await change(admin, admin, "owner")])).toEqual([
      "forbidden",
      "forbidden",
    ]);
    expect(codes([await change(developer, developer, "admin")])).toEqual(["forbidden"]);
    expect((await change(admin, developer, "viewer")).status).toBe(204);
    expect(await roles()).toMatchObject({ [developer.user]: "viewer", [owner.user]: "owner" });
    expect(codes([await inTeam(developer, "POST", "/v1/apps", { name: "no" })])).toEqual(["forbidden"]);
    expect(codes([await inTeam(admin, "DELETE", `/v1/members/${owner.user}`)])).toEqual(["forbidden"]);
    expect((await inTeam(admin, "DELETE", `/v1/members/${developer.user}`)).status).toBe(204);
  });

  it("take their tokens and their open invitations with them, at once", async () => {
    const admin = await newPerson({ team, role: "admin" });
    const { token } = (await inTeam(admin, "POST", "/v1/tokens", { name: "t" })).body;
    const [late, later] = [await stranger(), await stranger()];
    const invitation = (await inTeam(admin, "POST", "/v1/invitations", { email: late.email })).body;
    const byToken = (await ask(token, "POST", "/v1/invitations", { email: later.email })).body;
    expect((await inTeam(owner, "DELETE", `/v1/members/${admin.user}`)).status).toBe(204);
    expect(codes([await ask(token, "GET", "/v1/apps"), await inTeam(admin, "GET", "/v1/apps")])).toEqual([
      "unauthenticated",
      "not_found",
    ]);
    expect(codes([await accept(late, invitation.token), await accept(later, byToken.token)])).toEqual(["gone", "gone"]);
  });

  it("may leave, all but the last owner, who can not step down either", async () => {
    const viewer = await newPerson({ team, role: "viewer" });
    expect((await inTeam(viewer, "DELETE", `/v1/members/${viewer.user}`)).status).toBe(204);
    expect(codes([await inTeam(owner, "DELETE", `/v1/members/${owner.user}`)])).toEqual(["conflict"]);
    expect(codes([await inTeam(owner, "PATCH", `/v1/members/${owner.user}`, { role: "viewer" })])).toEqual([
      "conflict",
    ]);
    expect(await roles()).toEqual({ [owner.user]: "owner" });
  });

  it("of two owners who leave at once, one stays", async () => {
    const second = await newPerson({ team, role: "owner" });
    const leaving = await Promise.all([owner, second].map((who) => inTeam(who, "DELETE", `/v1/members/${who.user}`)));
    expect(codes(leaving).toSorted()).toEqual([204, "conflict"]);
  });
});

describe("a role of the team's own", () => {
  const put = (by: Person, name: string, policies: unknown) => inTeam(by, "PUT", `/v1/roles/${name}`, { policies });

  it("counts at once for those who have it, and stays while anybody does", async () => {
    expect((await put(owner, "scaler", [{ resource: "app", actions: ["read"] }])).status).toBe(200);
    const person = await newPerson({ team, role: "scaler" });
    const app = (await inTeam(owner, "POST", "/v1/apps", { name: "a" })).body.id as string;
    const scale = () => inTeam(person, "PATCH", `/v1/apps/${app}`, { replicas: 0 });
    expect(codes([await scale()])).toEqual(["forbidden"]);
    await put(owner, "scaler", [
      { resource: "app", actions: ["read", "update"], condition: { projects: ["default"] } },
    ]);
    expect((await scale()).status).toBe(202);
    const listed = (await inTeam(owner, "GET", "/v1/roles")).body.items as { name: string; policies: unknown }[];
    expect(listed.map(({ name }) => name)).toEqual(["owner", "admin", "developer", "viewer", "scaler"]);
    expect(listed.at(-1)?.policies).toMatchObject([{ condition: { projects: ["default"] } }]);
    expect(codes([await inTeam(owner, "DELETE", "/v1/roles/scaler")])).toEqual(["conflict"]);
    await inTeam(owner, "PATCH", `/v1/members/${person.user}`, { role: "viewer" });
    expect((await inTeam(owner, "DELETE", "/v1/roles/scaler")).status).toBe(204);
  });

  it("that is changed ends the invitations of those who have it, which were made by what it allowed before", async () => {
    const put = (policies: object[]) => inTeam(owner, "PUT", "/v1/roles/lead", { policies });
    expect((await put([{ resource: "*", actions: ["*"] }])).status).toBe(200);
    const lead = await newPerson({ team, role: "lead" });
    const [one, other] = [await stranger(), await stranger()];
    const token = async (who: Person, by: Person): Promise<string> =>
      (await inTeam(by, "POST", "/v1/invitations", { email: who.email, role: "admin" })).body.token;
    const [byLead, byOwner] = [await token(one, lead), await token(other, owner)];
    expect((await put([{ resource: "app", actions: ["read"] }])).status).toBe(200);
    expect(codes([await accept(one, byLead)])).toEqual(["gone"]);
    expect(await accept(other, byOwner)).toMatchObject({ status: 200 });
  });

  it("lets nobody raise themselves: neither by their role nor by making another", async () => {
    await put(owner, "hr", [{ resource: "member", actions: ["*"] }, { resource: "role", actions: ["*"] }]); // prettier-ignore
    const hr = await newPerson({ team, role: "hr" });
    const everything = [{ resource: "*", actions: ["*"] }];
    expect(codes([await put(hr, "hr", everything), await put(hr, "more", everything)])).toEqual([
      "forbidden",
      "forbidden",
    ]);
    expect(codes([await inTeam(hr, "PATCH", `/v1/members/${hr.user}`, { role: "admin" })])).toEqual(["forbidden"]);
    expect((await put(hr, "less", [{ resource: "member", actions: ["read"] }])).status).toBe(200);
  });

  it("is not called like a built-in one, nor made of what is not there", async () => {
    expect((await put(owner, "owner", [{ resource: "app", actions: ["read"] }])).status).toBe(400);
    expect((await put(owner, "member", [{ resource: "app", actions: ["read"] }])).status).toBe(400);
    expect((await put(owner, "spy", [{ resource: "node", actions: ["read"] }])).status).toBe(400);
    const projects = [{ resource: "app", actions: ["read"], condition: { projects: ["none"] } }];
    const { status, body } = await put(owner, "lost", projects);
    expect([status, body.errors[0].pointer]).toEqual([422, "/policies/0/condition/projects/0"]);
  });
});

describe("an API token", () => {
  const make = (by: string, input: object) => ask(by, "POST", "/v1/tokens", { name: "t", ...input });

  it("does what its scopes say in the projects it names, and shows when it was last used", async () => {
    await inTeam(owner, "POST", "/v1/projects", { name: "shop" });
    const inside = (await inTeam(owner, "POST", "/v1/apps", { name: "in", project: "shop" })).body.id as string;
    const outside = (await inTeam(owner, "POST", "/v1/apps", { name: "out" })).body.id as string;
    const { body: made } = await make(owner.bearer, { scopes: ["app:read", "app:update"], projects: ["shop"] });
    expect(made).toMatchObject({ scopes: ["app:read", "app:update"], projects: ["shop"], lastUsedAtMs: null });
    const scale = (app: string) => ask(made.token, "PATCH", `/v1/apps/${app}`, { replicas: 0 });
    expect(codes([await scale(inside), await scale(outside)])).toEqual([202, "not_found"]);
    expect(codes([await ask(made.token, "DELETE", `/v1/apps/${inside}`)])).toEqual(["forbidden"]);
    const apps = (await ask(made.token, "GET", "/v1/apps")).body.items as { id: string }[];
    expect(apps.map(({ id }) => id)).toEqual([inside]);
    const [shown] = (await inTeam(owner, "GET", "/v1/tokens")).body.items;
    expect(shown.lastUsedAtMs).toBeGreaterThan(0);
    expect(JSON.stringify(shown)).not.toContain(made.token);
  });

  it("makes no wider token, and none has what its maker has not", async () => {
    const narrow = (await make(owner.bearer, { scopes: ["token:create", "app:read"] })).body.token as string;
    expect(codes([await make(narrow, { scopes: ["app:*"] }), await make(narrow, { scopes: ["*"] })])).toEqual([
      "forbidden",
      "forbidden",
    ]);
    expect((await make(narrow, {})).body.scopes).toEqual(["token:create", "app:read"]);
    const viewer = await newPerson({ team, role: "viewer" });
    expect(codes([await make(viewer.bearer, { scopes: ["app:delete"] })])).toEqual(["forbidden"]);
    expect(codes([await make(viewer.bearer, { scopes: ["node:read"] })])).toEqual(["forbidden"]);
    expect((await make(viewer.bearer, { scopes: ["app:fly"] })).status).toBe(400);
    const all = (await make(viewer.bearer, { scopes: ["*"] })).body.token as string;
    expect(codes([await ask(all, "POST", "/v1/apps", { name: "no" })])).toEqual(["forbidden"]);
  });

  it("is seen and revoked by its maker, by owners and admins, and by no other member", async () => {
    const [one, other] = [await newPerson({ team, role: "developer" }), await newPerson({ team, role: "developer" })];
    const made = (await make(one.bearer, {})).body;
    const seen = async (by: Person) => ((await inTeam(by, "GET", "/v1/tokens")).body.items as unknown[]).length;
    expect([await seen(one), await seen(other), await seen(owner)]).toEqual([1, 0, 1]);
    expect(codes([await inTeam(other, "DELETE", `/v1/tokens/${made.id}`)])).toEqual(["not_found"]);
    expect((await inTeam(owner, "DELETE", `/v1/tokens/${made.id}`)).status).toBe(204);
    expect(codes([await ask(made.token, "GET", "/v1/apps")])).toEqual(["unauthenticated"]);
  });
});

describe("a team", () => {
  it("is renamed by its owner or an admin, to a slug that is free, and found under it", async () => {
    const { body } = await inTeam(owner, "PATCH", `/v1/teams/${team}`, { name: "Shop", slug: `s-${team.slice(-10)}` });
    expect(body).toMatchObject({ id: team, name: "Shop", slug: `s-${team.slice(-10)}` });
    const taken = (await newTeam()).slug;
    expect(codes([await inTeam(owner, "PATCH", `/v1/teams/${team}`, { slug: taken })])).toEqual(["name_taken"]);
    const viewer = await newPerson({ team, role: "viewer" });
    expect(codes([await inTeam(viewer, "PATCH", `/v1/teams/${team}`, { name: "Mine" })])).toEqual(["forbidden"]);
  });
});
