// What the tests of rights share: the API in this workerd over real Postgres and objects, and people made without passwords.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { inject } from "vitest";
import type { ProjectId, TeamId, UserId } from "../../contracts/ids.ts";
import { connect } from "../../db/connect.ts";
import { mintId } from "../../db/ids.ts";
import { sessions, users } from "../../db/schema/auth.ts";
import { memberships, teams } from "../../db/schema/teams.ts";
import { app } from "../../workers/control/app.ts";
import { sessionBearer } from "../../workers/control/auth/bearer.ts";
import type { ControlEnv } from "../../workers/control/env.ts";
import { ACCESS, type Access } from "../../workers/control/http/access.ts";
import { controlEnv } from "./control-env.ts";

const { adapter, appUrl, authUrl } = inject("migrated");
export const env: ControlEnv = {
  ...controlEnv,
  DATABASE_URL_APP: appUrl,
  DATABASE_URL_AUTH: authUrl,
  NEON_ADAPTER: adapter,
  BASE_DOMAIN: "berth.example",
  EDGE_ORIGIN: "https://edge.berth.test",
  // Thousands of requests of one team within a minute: their number is not what these tests are about.
  TUNING: JSON.stringify({ apiRequestsPerMinute: 1_000_000 }),
};
export const appDatabase = connect({ url: appUrl, adapter });
export const authDatabase = connect({ url: authUrl, adapter });

export interface Person {
  readonly user: UserId;
  readonly email: string;
  readonly bearer: string;
}

export async function newTeam(): Promise<{ team: TeamId; slug: string }> {
  const team = mintId<TeamId>("team");
  const slug = `t-${team.slice(-12)}`;
  await authDatabase.run({ kind: "auth" }, (statements) =>
    statements.insert(teams).values({ id: team, slug, name: "T" }),
  );
  return { team, slug };
}

interface Of {
  readonly team: TeamId;
  readonly role: string;
  readonly projects?: ProjectId[];
  readonly operator?: boolean;
  /** Switched on, and shown for the session. */
  readonly secondFactor?: boolean;
}

/** A user with a session, in one team. */
export async function newPerson({ team, role, projects, operator = false, secondFactor = false }: Of): Promise<Person> {
  const user = mintId<UserId>("user");
  const email = `${user}@example.com`;
  const token = crypto.randomUUID();
  const expiresAt = new Date(Date.now() + 3_600_000);
  await authDatabase.runAll({ kind: "auth" }, (statements) => [
    statements
      .insert(users)
      .values({ id: user, email, name: role, emailVerified: true, operator, twoFactorEnabled: secondFactor }),
    statements.insert(sessions).values({ id: mintId("sess"), userId: user, token, expiresAt, secondFactor }),
  ]);
  await join(user, { team, role, ...(projects === undefined ? {} : { projects }) });
  return { user, email, bearer: await sessionBearer(token, env.BETTER_AUTH_SECRET) };
}

const join = (userId: UserId, { team, role, projects }: Of) =>
  authDatabase.run({ kind: "auth" }, (statements) =>
    statements.insert(memberships).values({ teamId: team, userId, role, projectIds: projects ?? null }),
  );

export interface Answered {
  readonly status: number;
  readonly text: string;
  // Tests read whatever an answer holds.
  // oxlint-disable-next-line no-explicit-any
  readonly body: any;
}

const ADDRESS = "192.0.2.7";
export async function ask(
  bearer: string | null,
  method: string,
  path: string,
  body?: unknown,
  as: ControlEnv = env,
  more: Record<string, string> = {},
): Promise<Answered> {
  const context = createExecutionContext();
  const headers = {
    ...more,
    ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
    ...{ "content-type": "application/json", "cf-connecting-ip": ADDRESS, "user-agent": "berth-test/1" },
  };
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const answer = await app.fetch(new Request(`https://api.berth.test${path}`, init), as, context);
  const text = new TextDecoder().decode(await answer.arrayBuffer());
  await waitOnExecutionContext(context);
  const type = answer.headers.get("content-type") ?? "";
  const json = type.endsWith("json") && !type.includes("ndjson");
  return { status: answer.status, text, body: json ? JSON.parse(text) : null };
}

/** All of them, a few at a time. */
export async function forEachOf<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly hasBody: boolean;
  readonly access: Access;
}

/** Every operation of the OpenAPI document as the Worker serves it, with its line of the table. */
export async function operationsServed(): Promise<Operation[]> {
  const { body } = await ask(null, "GET", "/openapi.json");
  const paths = body.paths as Record<string, Record<string, { operationId: string; requestBody?: object }>>;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId: id, requestBody }]) => ({
      ...{ id, path, method: method.toUpperCase(), hasBody: requestBody !== undefined },
      access: ACCESS[id] as Access,
    })),
  );
}

export const filled = (path: string, params: Readonly<Record<string, string>>): string =>
  path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? `no-${name}`));
