// A migrated database of a test file's own, behind the Neon adapter, and ready-made rows to put into it.
import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import type { AppId, ProjectId, TeamId, UserId } from "../../contracts/ids.ts";
import { connect, PATIENCE, type Database } from "../../db/connect.ts";
import { mintId, toUuid } from "../../db/ids.ts";
import { migrate, urlFor } from "../../db/migrate.ts";
import { createApp } from "../../db/queries/apps.ts";
import type { AuthEnv } from "../../workers/control/auth/caller.ts";
import "../global-setup.ts";
import { makePatient, PATIENT_MS } from "./patience.ts";

export const passwords = { owner: "owner's", auth: "auth's", app: "app's" };

export interface TestDatabase {
  readonly adminUrl: string;
  readonly app: Database;
  readonly auth: Database;
  readonly env: AuthEnv;
  /** As the superuser, whom row-level security does not concern. */
  readonly admin: pg.Pool;
  /** As one of the roles, over plain TCP: for what the queries would never say. */
  as<Value>(
    role: "berth_owner" | "berth_auth" | "berth_app",
    work: (client: pg.Client) => Promise<Value>,
  ): Promise<Value>;
  close(): Promise<void>;
}

export async function emptyDatabase(): Promise<string> {
  const { adminUrl } = inject("postgres");
  const name = `test_${randomBytes(6).toString("hex")}`;
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  await client.query(`create database ${name}`);
  await client.end();
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** asItIs: with the limits that Berth has, for tests of them. */
export async function testDatabase({ asItIs = false } = {}): Promise<TestDatabase> {
  const adminUrl = await emptyDatabase();
  await migrate({ adminUrl, passwords });
  if (!asItIs) {
    await makePatient(adminUrl);
    Object.assign(PATIENCE, { connectMs: PATIENT_MS, statementMs: PATIENT_MS });
  }
  const { adapter } = inject("postgres");
  const urls = {
    berth_owner: urlFor(adminUrl, "berth_owner", passwords.owner),
    berth_auth: urlFor(adminUrl, "berth_auth", passwords.auth),
    berth_app: urlFor(adminUrl, "berth_app", passwords.app),
  };
  const admin = new pg.Pool({ connectionString: adminUrl, max: 4 });
  return {
    adminUrl,
    admin,
    app: connect({ url: urls.berth_app, adapter }),
    auth: connect({ url: urls.berth_auth, adapter }),
    env: {
      DATABASE_URL_APP: urls.berth_app,
      DATABASE_URL_AUTH: urls.berth_auth,
      NEON_ADAPTER: adapter,
      BETTER_AUTH_SECRET: "a secret of at least thirty-two characters",
      SETUP_TOKEN: "the setup token of this test",
    },
    async as(role, work) {
      const client = new pg.Client({ connectionString: urls[role] });
      await client.connect();
      try {
        return await work(client);
      } finally {
        await client.end();
      }
    },
    close: () => admin.end(),
  };
}

/** A team with one owner, put in from above. */
export async function addTeam(db: TestDatabase, slug: string): Promise<{ team: TeamId; user: UserId }> {
  const team = mintId<TeamId>("team");
  const user = mintId<UserId>("user");
  await db.admin.query("insert into users (id, email, name) values ($1, $2, $3)", [
    toUuid(user, "user"),
    `${slug}@example.com`,
    slug,
  ]);
  await db.admin.query("insert into teams (id, slug, name) values ($1, $2, $2)", [toUuid(team, "team"), slug]);
  await db.admin.query("insert into memberships (team_id, user_id, role) values ($1, $2, 'owner')", [
    toUuid(team, "team"),
    toUuid(user, "user"),
  ]);
  return { team, user };
}

export async function addApp(
  db: TestDatabase,
  team: TeamId,
  name: string,
  hostname = `${name}.test`,
): Promise<{ app: AppId; project: ProjectId }> {
  const made = await createApp(db.app, {
    id: mintId("app"),
    team,
    name,
    regions: [],
    replicas: 1,
    hostnameCandidates: [hostname],
    actor: "system",
  });
  if (!made.ok) throw new Error(made.failure.message);
  return { app: made.value.id, project: made.value.project };
}
