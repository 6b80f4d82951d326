// Every role at every endpoint, generated from the OpenAPI document and the table of rights: real workerd, objects and Postgres.
import { eq } from "drizzle-orm";
import { beforeAll, describe, expect, it } from "vitest";
import type { ProjectId, TeamId } from "../../contracts/ids.ts";
import { authorise } from "../../core/authorise/authorise.ts";
import type { Grant, Subject } from "../../core/authorise/types.ts";
import { mintId } from "../../db/ids.ts";
import { listAudit } from "../../db/queries/audit.ts";
import { putRole } from "../../db/queries/roles.ts";
import { apiTokens } from "../../db/schema/teams.ts";
import { app } from "../../workers/control/app.ts";
import { sha256Hex } from "../../workers/control/sha256.ts";
import { ACCESS, fillAccess } from "../../workers/control/http/access.ts";
import { newApi } from "../../workers/control/http/context.ts";
import {
  appDatabase,
  ask,
  filled,
  forEachOf,
  newPerson,
  newTeam,
  operationsServed,
  type Operation,
} from "./access-world.ts";

const operations = await operationsServed();
/** Of things that nobody has: what is allowed finds nothing, and so changes nothing. */
const nothing = {
  app: mintId("app"),
  rollout: mintId("roll"),
  token: mintId("tok"),
  member: mintId("user"),
  invitation: mintId("inv"),
  entry: mintId("entry"),
  session: mintId("sess"),
  joinToken: mintId("join"),
  team: mintId("team"),
  role: "nobodys",
  hostname: "nobodys.example.org",
  hash: `sha256:${"0".repeat(64)}`,
  sha256: "0".repeat(64),
  command: "pause",
  word: "pause",
};
const grants: readonly Grant[] = [
  { resource: "release", actions: ["create", "read"], condition: {} },
  { resource: "app", actions: ["read"], condition: { own: true } },
];

let team: TeamId;
const project = mintId<ProjectId>("proj");
const plain = { projects: null, token: null, operator: false };
const builtIn = (name: "owner" | "admin" | "developer" | "viewer", more: Partial<Subject> = {}): Subject => ({
  ...plain,
  ...{ role: { kind: "built_in", name }, ...more },
});
const SUBJECTS: Record<string, Subject> = {
  owner: builtIn("owner"),
  admin: builtIn("admin"),
  developer: builtIn("developer"),
  viewer: builtIn("viewer"),
  "a developer of one project": builtIn("developer", { projects: [project] }),
  "an operator who is a viewer of his team": builtIn("viewer", { operator: true }),
  "a role of the team's own": { ...plain, role: { kind: "custom", name: "releaser", grants } },
  "an owner's token to release": builtIn("owner", { token: { scopes: ["release:*", "app:read"], projects: null } }),
  "an operator's token to look at nodes": builtIn("owner", {
    operator: true,
    token: { scopes: ["node:read"], projects: null },
  }),
  "an operator's token for everything": builtIn("owner", { operator: true, token: { scopes: ["*"], projects: null } }),
};
/** What changes who comes in: refused to that token too, which its scopes are no reason for. */
const IN_PERSON = [
  ...["addOperator", "removeOperator", "enterTeam", "removeSecondFactor"],
  ...["requireSecondFactor", "putSingleSignOn", "deleteSingleSignOn"],
];

async function bearerOf(subject: Subject): Promise<string> {
  const { role, projects, operator, token } = subject;
  const limits = projects === null ? {} : { projects: [...projects] };
  const person = await newPerson({ team, role: role.name, operator, ...limits });
  if (token === null) return person.bearer;
  const made = await ask(person.bearer, "POST", "/v1/tokens", { name: "t", scopes: token.scopes });
  expect(made.status, made.text).toBe(201);
  return made.body.token;
}

/** What the table and the one function say of it. */
function isAllowed(subject: Subject, { access }: Operation): boolean {
  if (access.kind === "asks" && access.bySession && subject.token !== null) return false;
  if (access.kind === "asks") return authorise(subject, access).kind !== "denied";
  return access.kind !== "session" || subject.token === null;
}

beforeAll(async () => {
  ({ team } = await newTeam());
  const role = { team, name: "releaser", judged: null, policies: grants as never, rolesMax: 9 };
  expect((await putRole(appDatabase, { ...role, actor: "system" })).ok).toBe(true);
});

describe("the table of rights", () => {
  it("has a line for every operation, and no other", () => {
    expect(operations.map(({ id }) => id).toSorted()).toEqual(Object.keys(ACCESS).toSorted());
  });

  it("asks more than to read for whatever is not a GET, and names each deed by a word and a verb", () => {
    const weak = operations.filter(({ method, access }) => method !== "GET" && access.kind === "asks" && access.action === "read"); // prettier-ignore
    expect(weak.map(({ id }) => id)).toEqual([]);
    const open = operations.filter(({ access }) => access.kind === "public" || access.kind === "signed_in");
    expect(
      open.filter(({ path }) => path.includes("{")).map(({ id }) => id),
      "things that anybody may ask about",
    ).toEqual([]);
    for (const { access } of operations) expect(access.deed).toMatch(/^[a-z_]+\.[a-z_]+$/);
  });

  it("lets no API token change who comes in", () => {
    const inPerson = operations.filter(({ access }) => access.kind === "asks" && access.bySession).map(({ id }) => id);
    expect(inPerson.toSorted()).toEqual(IN_PERSON.toSorted());
  });

  it("keeps the Worker from starting while a route has no line, or a line no route", () => {
    const { listApps: _, ...without } = ACCESS;
    expect(() => fillAccess(new Map(), app, without)).toThrow(/GET \/v1\/apps \(listApps\) has no line/);
    const surplus = { ...ACCESS, flyToTheMoon: ACCESS.listApps as never };
    expect(() => fillAccess(new Map(), app, surplus)).toThrow(/lines without a route: flyToTheMoon/);
    const bare = newApi();
    bare.get("/v1/secret-door", (c) => c.text("in"));
    expect(() => fillAccess(new Map(), bare)).toThrow(/GET \/v1\/secret-door \(no operationId\) has no line/);
  });
});

describe("nobody", () => {
  it("gets 401 at every operation but the public ones", async () => {
    const bad: string[] = [];
    await forEachOf(operations, async ({ id, method, path, access }) => {
      if (access.kind === "public") return;
      const { status, body } = await ask(null, method, filled(path, nothing), method === "GET" ? undefined : {});
      if (status !== 401 || body.code !== "unauthenticated") bad.push(`${id} ${status}`);
    });
    expect(bad).toEqual([]);
  });
});

describe.each(Object.entries(SUBJECTS))("%s", (_name, subject) => {
  it("gets 403 exactly where the table says so, and each write and denial is in the audit", async () => {
    const bearer = await bearerOf(subject);
    const bad: string[] = [];
    const denied: string[] = [];
    const told: string[] = [];
    await forEachOf(operations, async (operation) => {
      const { id, method, path, access } = operation;
      if (access.kind === "public") return;
      const { status, text, body } = await ask(
        bearer,
        method,
        filled(path, nothing),
        method === "GET" ? undefined : {},
      );
      const outcome = status < 400 ? "ok" : body.code;
      if (method === "GET" ? outcome === "not_found" : !UNTOLD.includes(outcome))
        told.push(`${access.deed} ${outcome}`);
      const allowed = isAllowed(subject, operation);
      if (!allowed) denied.push(access.deed);
      const right = allowed ? status !== 403 && status !== 401 && status < 500 : status === 403;
      if (!right) bad.push(`${id}: ${allowed ? "allowed" : "denied"}, but ${status} ${text.slice(0, 200)}`);
    });
    expect(bad).toEqual([]);
    expect(denied.length, "so that both are seen").toBeLessThan(operations.length - 4);
    expect(await forbidden(bearer)).toEqual(denied.toSorted());
    const lines = await linesOf(bearer);
    expect(told.filter((line) => !lines.includes(line))).toEqual([]);
  });
});

/** Refused before anything was meant by them. */
const UNTOLD = ["invalid_request", "malformed_json", "unsupported_media_type", "payload_too_large"];
/** What the audits have of this caller. */
async function linesOf(bearer: string): Promise<string[]> {
  const { body } = await ask(bearer, "GET", "/v1/whoami");
  const actor = body.via === "session" ? `user:${body.user.id}` : await tokenOf(bearer);
  const lines: string[] = [];
  for (const of of [team, null]) {
    const page = await listAudit(appDatabase, of, { limit: 1_000, actor });
    if (!page.ok) throw new Error(page.failure.message);
    lines.push(...page.value.items.map(({ action, outcome }) => `${action} ${outcome}`));
  }
  return lines;
}

/** The actions that the audit says were refused to this caller: in the team's or, of the installation's things, in the operators'. */
async function forbidden(bearer: string): Promise<string[]> {
  const { body } = await ask(bearer, "GET", "/v1/whoami");
  const actor = body.via === "session" ? `user:${body.user.id}` : await tokenOf(bearer);
  const actions: string[] = [];
  for (const of of [team, null]) {
    let cursor: string | undefined;
    do {
      const page = await listAudit(appDatabase, of, {
        limit: 100,
        outcome: "forbidden",
        ...(cursor ? { cursor } : {}),
      });
      if (!page.ok) throw new Error(page.failure.message);
      for (const entry of page.value.items) {
        if (entry.actor !== actor || seen.has(entry.id)) continue;
        seen.add(entry.id);
        expect(entry).toMatchObject({ address: "192.0.2.7", userAgent: "berth-test/1", before: null, after: null });
        actions.push(entry.action);
      }
      cursor = page.value.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }
  return actions.toSorted();
}
const seen = new Set<string>();

/** As the audit has it: other files' tokens are refused things beside this one. */
async function tokenOf(bearer: string): Promise<string> {
  const hash = await sha256Hex(bearer);
  const [row] = await appDatabase.run({ kind: "team", team }, (statements) =>
    statements.select({ id: apiTokens.id }).from(apiTokens).where(eq(apiTokens.hash, hash)),
  );
  return `token:${row?.id}`;
}
