// Every version an app's environment ever had: ciphertext, kept for history. What starts need is in the App object.
import { and, desc, eq, inArray, lt, sql } from "drizzle-orm";
import { readReference, type EnvironmentVersion } from "../../contracts/environment.ts";
import type { Result } from "../../contracts/failures.ts";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { environmentVersions } from "../schema/secrets.ts";
import { insertAudit, type By } from "./audit.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

/** Appends one row per name, once for one idempotency key; names only go into the audit. */
export async function recordEnvironment(
  db: Database,
  input: By & {
    team: TeamId;
    app: AppId;
    set: Readonly<Record<string, string>>;
    unset: readonly string[];
    change?: string | null;
  },
): Promise<void> {
  const { team, app, actor, change = null } = input;
  const row = (name: string, sealed: string | null) => ({ teamId: team, appId: app, name, sealed, actor, change });
  const rows = [
    ...Object.entries(input.set).map(([name, sealed]) => row(name, sealed)),
    ...input.unset.map((name) => row(name, null)),
  ];
  if (rows.length === 0) return;
  const data = { set: Object.keys(input.set), unset: [...input.unset] };
  await db.runAll({ kind: "team", team }, (statements) => [
    statements.insert(environmentVersions).values(rows).onConflictDoNothing(),
    insertAudit(statements, { ...input, action: "environment.change", subject: app, data }),
  ]);
}

/** Which names changed when and by whom, newest first; never a value. name: of that one alone. */
export async function listEnvironmentVersions(
  db: Database,
  team: TeamId,
  app: AppId,
  page: PageRequest & { readonly name?: string | undefined },
): Promise<Result<Page<EnvironmentVersion>>> {
  const cursor = decodeCursor(page.cursor, (key) => /^[0-9a-f-]{36}$/.test(key));
  if (!cursor.ok) return cursor;
  const { id, name, sealed, actor, createdAtMs, teamId, appId } = environmentVersions;
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select({ id, name, sealed, actor, createdAtMs, version: VERSION })
      .from(environmentVersions)
      .where(
        and(
          eq(teamId, team),
          eq(appId, app),
          page.name === undefined ? undefined : eq(name, page.name),
          cursor.value === null ? undefined : lt(id, cursor.value),
        ),
      )
      .orderBy(desc(id))
      .limit(page.limit + 1),
  );
  const shown = ({ name, version, sealed, actor, createdAtMs }: (typeof rows)[number]): EnvironmentVersion => ({
    ...{ name, version, actor, createdAtMs },
    kind: sealed === null ? "removed" : readReference(sealed) === null ? "value" : "reference",
  });
  return { ok: true, value: pageOf(rows, page.limit, (row) => row.id, shown) };
}

/** Every version of those names, sealed as it was. */
export async function environmentVersionsOf(
  db: Database,
  team: TeamId,
  app: AppId,
  names: readonly string[],
): Promise<{ name: string; version: number; sealed: string | null }[]> {
  const { name, sealed, teamId, appId } = environmentVersions;
  return db.run({ kind: "team", team }, (statements) =>
    statements
      .select({ name, sealed, version: VERSION })
      .from(environmentVersions)
      .where(and(eq(teamId, team), eq(appId, app), inArray(name, [...names]))),
  );
}

/** Counted from 1 for each variable: rows are only ever appended, so a number stays what it is. */
const VERSION = sql<number>`(select count(*)::int from environment_versions earlier
  where earlier.team_id = environment_versions.team_id and earlier.app_id = environment_versions.app_id
    and earlier.name = environment_versions.name and earlier.id <= environment_versions.id)`;
