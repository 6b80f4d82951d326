// Projects: a team's groups of apps, known by name within the team.
import { and, desc, eq, lt } from "drizzle-orm";
import type { Project } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import { ProjectId, type TeamId } from "../../contracts/ids.ts";
import type { Database, Transaction } from "../connect.ts";
import { violatedConstraint } from "../errors.ts";
import { mintId } from "../ids.ts";
import { projects } from "../schema/apps.ts";
import { insertAudit, type By } from "./audit.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

/** Where an app goes whose creator named no project. */
export const DEFAULT_PROJECT = "default";

const projectOf = (row: typeof projects.$inferSelect): Project => ({
  id: row.id,
  team: row.teamId,
  name: row.name,
  createdAtMs: row.createdAtMs,
});

/** name_taken if the team has one of that name. The same id again changes nothing and answers the same. */
export async function createProject(
  db: Database,
  input: By & { readonly id: ProjectId; readonly team: TeamId; readonly name: string },
): Promise<Result<Project>> {
  const { id, team, name } = input;
  try {
    const [, , [row]] = await db.runAll({ kind: "team", team }, (statements) => [
      statements.insert(projects).values({ id, teamId: team, name }).onConflictDoNothing({ target: projects.id }),
      insertAudit(statements, { ...input, action: "project.create", subject: id, data: { name } }),
      statements.select().from(projects).where(eq(projects.id, id)),
    ]);
    if (row === undefined) throw new Error(`project ${id} vanished within its transaction`);
    return { ok: true, value: projectOf(row) };
  } catch (error) {
    if (violatedConstraint(error) !== "projects_name") throw error;
    return { ok: false, failure: { code: "name_taken", message: `the team already has a project named ${name}` } };
  }
}

/** The project of that name; the default one is made when it is first wanted. */
export async function projectIdWithin(tx: Transaction, team: TeamId, name: string): Promise<ProjectId | null> {
  const named = and(eq(projects.teamId, team), eq(projects.name, name));
  if (name === DEFAULT_PROJECT) {
    await tx
      .insert(projects)
      .values({ id: mintId("proj"), teamId: team, name })
      .onConflictDoNothing();
  }
  const [row] = await tx.select({ id: projects.id }).from(projects).where(named);
  return row?.id ?? null;
}

/** Newest first. */
export async function listProjects(db: Database, team: TeamId, page: PageRequest): Promise<Result<Page<Project>>> {
  const cursor = decodeCursor(page.cursor, (key) => ProjectId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const before = cursor.value as ProjectId | null;
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select()
      .from(projects)
      .where(and(eq(projects.teamId, team), before === null ? undefined : lt(projects.id, before)))
      .orderBy(desc(projects.id))
      .limit(page.limit + 1),
  );
  return { ok: true, value: pageOf(rows, page.limit, (row) => row.id, projectOf) };
}
