// Projects: a team's groups of apps, known by name within the team.
import { and, desc, eq, inArray, lt, sql, type SQL } from "drizzle-orm";
import type { AnyPgColumn } from "drizzle-orm/pg-core";
import type { Project } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import { ProjectId, type TeamId } from "../../contracts/ids.ts";
import type { Database, Statements } from "../connect.ts";
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
      insertAudit(statements, { ...input, action: "project.create", subject: id, after: { name } }),
      statements.select().from(projects).where(eq(projects.id, id)),
    ]);
    if (row === undefined) throw new Error(`project ${id} vanished within its transaction`);
    return { ok: true, value: projectOf(row) };
  } catch (error) {
    if (violatedConstraint(error) !== "projects_name") throw error;
    return { ok: false, failure: { code: "name_taken", message: `the team already has a project named ${name}` } };
  }
}

/** Made when it is first wanted. */
export const ensureDefaultProject = (statements: Statements, team: TeamId) =>
  statements
    .insert(projects)
    .values({ id: mintId("proj"), teamId: team, name: DEFAULT_PROJECT })
    .onConflictDoNothing();

/** SQL: the names of the projects with these ids, or null where the ids are. */
export const projectNames = (ids: AnyPgColumn) =>
  sql<string[] | null>`(select json_agg(p.name order by p.name) from projects p where p.id = any(${ids}))`;

export async function findProjects(
  db: Database,
  team: TeamId,
  names: readonly string[],
): Promise<Map<string, ProjectId>> {
  if (names.length === 0) return new Map();
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select({ id: projects.id, name: projects.name })
      .from(projects)
      .where(and(eq(projects.teamId, team), inArray(projects.name, [...names]))),
  );
  return new Map(rows.map(({ id, name }) => [name, id]));
}

export async function projectsNamed(
  db: Database,
  team: TeamId,
  ids: readonly ProjectId[],
): Promise<Map<ProjectId, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select({ id: projects.id, name: projects.name })
      .from(projects)
      .where(and(eq(projects.teamId, team), inArray(projects.id, [...ids]))),
  );
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** Newest first. within: these alone; null: all of the team. */
export async function listProjects(
  db: Database,
  team: TeamId,
  page: PageRequest,
  within: readonly ProjectId[] | null = null,
): Promise<Result<Page<Project>>> {
  const cursor = decodeCursor(page.cursor, (key) => ProjectId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const before = cursor.value as ProjectId | null;
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select()
      .from(projects)
      .where(
        and(
          eq(projects.teamId, team),
          before === null ? undefined : lt(projects.id, before),
          isAmong(projects.id, within),
        ),
      )
      .orderBy(desc(projects.id))
      .limit(page.limit + 1),
  );
  return { ok: true, value: pageOf(rows, page.limit, (row) => row.id, projectOf) };
}

/** null: no condition. */
export function isAmong(column: AnyPgColumn, within: readonly ProjectId[] | null): SQL | undefined {
  return within === null ? undefined : inArray(column, [...within]);
}
