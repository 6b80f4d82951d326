// The audit over the API: a line for each write and denial, filtered, paged, exported; without secrets, and never changed.
import { createExecutionContext } from "cloudflare:test";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { TeamId } from "../../contracts/ids.ts";
import { AuditRecord } from "../../contracts/teams.ts";
import { app as api } from "../../workers/control/app.ts";
import { ask, env, newPerson, newTeam, type Person } from "./access-world.ts";

let team: TeamId;
let owner: Person;
let operator: Person;
let app: string;
let token: string;
const SECRET = "hunter2-hunter2-hunter2";
const entries = async (query = "", who = owner): Promise<AuditRecord[]> => {
  const { status, text, body } = await ask(who.bearer, "GET", `/v1/audit?limit=100&${query}`);
  expect(status, text).toBe(200);
  return (body.items as unknown[]).map((item) => AuditRecord.parse(item));
};

beforeAll(async () => {
  ({ team } = await newTeam());
  owner = await newPerson({ team, role: "owner" });
  operator = await newPerson({ team: (await newTeam()).team, role: "owner", operator: true });
  const as = (method: string, path: string, body?: unknown) => ask(owner.bearer, method, path, body);
  app = (await as("POST", "/v1/apps", { name: `audited-${team.slice(-8)}`, replicas: 1 })).body.id;
  await as("PATCH", `/v1/apps/${app}`, { replicas: 3 });
  await as("PATCH", `/v1/apps/${app}/env`, { set: { PASSWORD: SECRET } });
  await as("PUT", "/v1/registries/ghcr.io", { username: "bob", password: SECRET });
  await as("POST", `/v1/apps/${app}/releases`, { spec: { source: { kind: "image", reference: "nginx:1.29" } } });
  token = (await as("POST", "/v1/tokens", { name: "ci", scopes: ["app:read"] })).body.token;
  await ask(token, "DELETE", `/v1/apps/${app}`);
  await as("GET", "/v1/nodes");
  await as("GET", "/v1/apps/nobodys");
});

describe("the audit", () => {
  it("has a line for each write and each denial: who, what, from where, before and after", async () => {
    const all = await entries();
    expect(all.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
      ...["app.read not_found", "app.destroy forbidden", "token.create ok", "release.create ok"],
      ...["registry.put ok", "environment.change ok", "app.update ok", "app.create ok"],
    ]);
    for (const entry of all) {
      expect(entry).toMatchObject({ team, address: "192.0.2.7", userAgent: "berth-test/1" });
      expect(entry.requestId).toBeTruthy();
    }
    const by = (action: string) => all.find((entry) => entry.action === action);
    expect(by("app.update")).toMatchObject({
      ...{ actor: `user:${owner.user}`, subject: app, before: { replicas: 1 }, after: { replicas: 3 } },
    });
    expect(by("release.create")).toMatchObject({ subject: app, before: { version: null }, after: { version: 1 } });
    expect(by("app.destroy")?.actor).toMatch(/^token:tok_/);
  });

  it("holds no secret that was sent in or given out", async () => {
    const text = JSON.stringify(await entries());
    expect(text).not.toContain(SECRET);
    expect(text).not.toContain(token);
    expect(text).toContain("PASSWORD");
  });

  it("is filtered by actor, action, subject, outcome and time, and paged without a gap", async () => {
    const all = await entries();
    const count = async (query: string) => (await entries(query)).length;
    expect(await count("action=app.update")).toBe(1);
    expect(await count(`subject=${app}&outcome=ok`)).toBe(4);
    expect(await count(`actor=user:${owner.user}`)).toBe(all.length - 1);
    expect(await count("outcome=forbidden")).toBe(1);
    const middle = all[3]?.atMs ?? 0;
    const [from, to] = [await entries(`fromMs=${middle}`), await entries(`toMs=${middle}`)];
    expect(from.every(({ atMs }) => atMs >= middle) && to.every(({ atMs }) => atMs < middle)).toBe(true);
    expect(from.length + to.length).toBe(all.length);
    const paged: string[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const { body } = await ask(owner.bearer, "GET", `/v1/audit?limit=3${cursor === "" ? "" : `&cursor=${cursor}`}`);
      paged.push(...(body.items as AuditRecord[]).map(({ id }) => id));
      cursor = body.nextCursor;
    }
    expect(paged).toEqual(all.map(({ id }) => id));
    expect((await ask(owner.bearer, "GET", "/v1/audit?fromMs=yesterday")).status).toBe(400);
    expect((await ask(owner.bearer, "GET", "/v1/audit?actor=%00")).status).toBe(400);
  });

  it("is exported as NDJSON, oldest first, under the same filters", async () => {
    const { status, text } = await ask(owner.bearer, "GET", "/v1/audit/export");
    expect(status).toBe(200);
    const lines = text.trimEnd().split("\n").map((line) => AuditRecord.parse(JSON.parse(line))); // prettier-ignore
    expect(lines).toEqual((await entries()).toReversed());
    const few = await ask(owner.bearer, "GET", "/v1/audit/export?action=app.update");
    expect(few.text.trimEnd().split("\n")).toHaveLength(1);
  });

  it("is for owners and admins; nothing of it is for operators, who have the installation's", async () => {
    const developer = await newPerson({ team, role: "developer" });
    expect((await ask(developer.bearer, "GET", "/v1/audit")).status).toBe(403);
    expect((await ask(owner.bearer, "GET", "/v1/operator/audit")).status).toBe(403);
    // Other test files write to it meanwhile: a page of the newest may be all theirs.
    const path = `/v1/operator/audit?limit=100&actor=user:${owner.user}`;
    const { body, status } = await ask(operator.bearer, "GET", path);
    expect(status).toBe(200);
    const items = body.items as AuditRecord[];
    expect(items.every((entry) => entry.team === null)).toBe(true);
    const refused = items.find(({ action, actor }) => action === "node.read" && actor === `user:${owner.user}`);
    expect(refused).toMatchObject({ outcome: "forbidden", subject: "nodes" });
    const mixed = await ask(operator.bearer, "GET", "/v1/operator/audit?limit=100");
    expect((mixed.body.items as AuditRecord[]).every((entry) => entry.team === null)).toBe(true);
    const exported = await ask(operator.bearer, "GET", "/v1/operator/audit/export?action=node.read");
    expect(exported.text).toContain(owner.user);
  });

  it("has who could not sign in, and with which address, for the operator", async () => {
    await ask(null, "POST", "/v1/sign-in", { email: `nobody@${team.slice(-8)}.example`, password: SECRET });
    const { body } = await ask(operator.bearer, "GET", `/v1/operator/audit?subject=nobody@${team.slice(-8)}.example`);
    expect(body.items).toMatchObject([{ actor: "anonymous", action: "user.sign_in", outcome: "unauthenticated" }]);
    expect(JSON.stringify(body)).not.toContain(SECRET);
  });
});

describe("a stream", () => {
  it("ends within 5 s of its reader's removal from the team", async () => {
    const reader = await newPerson({ team, role: "viewer" });
    const request = new Request(`https://api.berth.test/v1/apps/${app}/events`, {
      headers: { authorization: `Bearer ${reader.bearer}` },
    });
    const answer = await api.fetch(request, env, createExecutionContext());
    const stream = answer.body?.getReader();
    expect((await stream?.read())?.done).toBe(false);
    expect((await ask(owner.bearer, "DELETE", `/v1/members/${reader.user}`)).status).toBe(204);
    const now = Date.now.bind(Date);
    const clock = vi.spyOn(Date, "now").mockImplementation(() => now() + 5_000);
    await ask(owner.bearer, "PATCH", `/v1/apps/${app}`, { replicas: 2 });
    let text = "";
    for (;;) {
      const part = await stream?.read();
      if (part === undefined || part.done) break;
      text += new TextDecoder().decode(part.value);
    }
    clock.mockRestore();
    expect(text).not.toContain('"replicas":2');
  });
});
