// Every version an app's environment ever had: ciphertext, kept for history. What starts need is in the App object.
import { and, desc, eq, lt } from "drizzle-orm";
import type { Result } from "../../contracts/failures.ts";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { environmentVersions } from "../schema/secrets.ts";
import { insertAudit, type By } from "./audit.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

/** Appends one row per name; names only go into the audit. */
export async function recordEnvironment(
  db: Database,
  input: By & { team: TeamId; app: AppId; set: Readonly<Record<string, string>>; unset: readonly string[] },
): Promise<void> {
  const { team, app, actor } = input;
  const row = (name: string, sealed: string | null) => ({ teamId: team, appId: app, name, sealed, actor });
  const rows = [
    ...Object.entries(input.set).map(([name, sealed]) => row(name, sealed)),
    ...input.unset.map((name) => row(name, null)),
  ];
  if (rows.length === 0) return;
  const data = { set: Object.keys(input.set), unset: [...input.unset] };
  await db.runAll({ kind: "team", team }, (statements) => [
    statements.insert(environmentVersions).values(rows),
    insertAudit(statements, { ...input, action: "environment.change", subject: app, data }),
  ]);
}

export interface EnvironmentVersion {
  readonly id: string;
  readonly name: string;
  readonly removed: boolean;
  readonly actor: string;
  readonly createdAtMs: number;
}

/** Which names changed when and by whom, newest first; never a value. */
export async function listEnvironmentVersions(
  db: Database,
  team: TeamId,
  app: AppId,
  page: PageRequest,
): Promise<Result<Page<EnvironmentVersion>>> {
  const cursor = decodeCursor(page.cursor, (key) => /^[0-9a-f-]{36}$/.test(key));
  if (!cursor.ok) return cursor;
  const { id } = environmentVersions;
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select()
      .from(environmentVersions)
      .where(
        and(
          eq(environmentVersions.teamId, team),
          eq(environmentVersions.appId, app),
          cursor.value === null ? undefined : lt(id, cursor.value),
        ),
      )
      .orderBy(desc(id))
      .limit(page.limit + 1),
  );
  const shown = ({ id, name, sealed, actor, createdAtMs }: (typeof rows)[number]): EnvironmentVersion => ({
    id,
    name,
    removed: sealed === null,
    actor,
    createdAtMs,
  });
  return { ok: true, value: pageOf(rows, page.limit, (row) => row.id, shown) };
}
