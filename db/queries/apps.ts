// Apps and hostnames: who owns which name. What an app runs is asked of its App object.
import { and, desc, eq, isNull, lt, sql } from "drizzle-orm";
import type { Result } from "../../contracts/failures.ts";
import { AppId, type ProjectId, type RegionName, type TeamId } from "../../contracts/ids.ts";
import type { Database, Statements, Transaction } from "../connect.ts";
import { violatedConstraint } from "../errors.ts";
import { apps, hostnames } from "../schema/apps.ts";
import { insertAudit, okIfExists, type By } from "./audit.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";
import { DEFAULT_PROJECT, projectIdWithin } from "./projects.ts";

export interface AppRecord {
  readonly id: AppId;
  readonly team: TeamId;
  readonly project: ProjectId;
  readonly name: string;
  readonly hostnames: string[];
  readonly regions: RegionName[];
  readonly initialReplicas: number;
  readonly createdBy: string;
  readonly createdAtMs: number;
  readonly destroyedAtMs: number | null;
}

export interface CreateApp extends By {
  readonly id: AppId;
  readonly team: TeamId;
  readonly name: string;
  /** Absent: the team's default project. */
  readonly project?: string;
  readonly regions: readonly RegionName[];
  readonly replicas: number;
  /** In the order of preference; the first that no app has becomes the app's. */
  readonly hostnameCandidates: readonly string[];
}

const columns = {
  id: apps.id,
  team: apps.teamId,
  project: apps.projectId,
  name: apps.name,
  hostnames: sql<string[]>`coalesce((select json_agg(h.hostname order by h.created_at, h.hostname)
    from hostnames h where h.team_id = ${apps.teamId} and h.app_id = ${apps.id}), '[]'::json)`,
  regions: apps.regions,
  initialReplicas: apps.initialReplicas,
  createdBy: apps.createdBy,
  createdAtMs: apps.createdAtMs,
  destroyedAtMs: apps.destroyedAtMs,
};

/**
 * One transaction. The same id again answers the app that is there, so that a retry goes on where the first try ended.
 * name_taken: the team has a live app of that name. not_found: no such project. conflict: every hostname is taken.
 */
export async function createApp(db: Database, input: CreateApp): Promise<Result<AppRecord>> {
  try {
    return await db.transaction({ kind: "team", team: input.team }, (tx) => createWithin(tx, input));
  } catch (error) {
    if (error instanceof NoHostname) {
      const message = `every hostname for ${input.name} is taken: ${input.hostnameCandidates.join(", ")}`;
      return { ok: false, failure: { code: "conflict", message } };
    }
    if (violatedConstraint(error) !== "apps_name") throw error;
    return { ok: false, failure: { code: "name_taken", message: `the team already has an app named ${input.name}` } };
  }
}

/** Thrown, so that the transaction is undone. */
class NoHostname extends Error {}

async function createWithin(tx: Transaction, input: CreateApp): Promise<Result<AppRecord>> {
  const projectName = input.project ?? DEFAULT_PROJECT;
  const project = await projectIdWithin(tx, input.team, projectName);
  if (project === null) {
    const message = `the team has no project named ${projectName}`;
    const errors = [{ pointer: "/project", rule: "exists", message }];
    return { ok: false, failure: { code: "not_found", message, errors } };
  }
  const inserted = await tx
    .insert(apps)
    .values({
      id: input.id,
      teamId: input.team,
      projectId: project,
      name: input.name,
      regions: [...input.regions],
      initialReplicas: input.replicas,
      createdBy: input.actor,
    })
    .onConflictDoNothing({ target: apps.id })
    .returning({ id: apps.id });
  if (inserted.length > 0) {
    await takeHostname(tx, input);
    await insertAudit(tx, { ...input, action: "app.create", subject: input.id, data: { name: input.name } });
  }
  const [app] = await tx.select(columns).from(apps).where(eq(apps.id, input.id));
  if (app === undefined) throw new Error(`app ${input.id} is another team's`);
  return { ok: true, value: app };
}

async function takeHostname(tx: Transaction, { id, team, hostnameCandidates }: CreateApp): Promise<void> {
  for (const hostname of hostnameCandidates) {
    const taken = await tx
      .insert(hostnames)
      .values({ hostname, teamId: team, appId: id })
      .onConflictDoNothing()
      .returning({ hostname: hostnames.hostname });
    if (taken.length > 0) return;
  }
  throw new NoHostname();
}

/** By id (a destroyed one too) or by name (live ones). Null: not in this team, whoever else may have it. */
export async function findApp(db: Database, team: TeamId, idOrName: string): Promise<AppRecord | null> {
  const id = AppId.safeParse(idOrName);
  const which = id.success ? eq(apps.id, id.data) : and(eq(apps.name, idOrName), isNull(apps.destroyedAtMs));
  const [app] = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select(columns)
      .from(apps)
      .where(and(eq(apps.teamId, team), which))
      .limit(1),
  );
  return app ?? null;
}

/** The live apps, newest first. */
export async function listApps(db: Database, team: TeamId, page: PageRequest): Promise<Result<Page<AppRecord>>> {
  const cursor = decodeCursor(page.cursor, (key) => AppId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const rows = await db.run({ kind: "team", team }, (statements) =>
    selectApps(statements, team, cursor.value as AppId | null, page.limit + 1),
  );
  return { ok: true, value: pageOf(rows, page.limit, (row) => row.id, (row) => row) }; // prettier-ignore
}

export function selectApps(statements: Statements, team: TeamId, before: AppId | null, limit: number) {
  return statements
    .select(columns)
    .from(apps)
    .where(and(eq(apps.teamId, team), isNull(apps.destroyedAtMs), before === null ? undefined : lt(apps.id, before)))
    .orderBy(desc(apps.id))
    .limit(limit);
}

/** Gives name and hostnames back; the row stays for history. False: there was no such live app. */
export async function destroyApp(db: Database, input: By & { team: TeamId; id: AppId }): Promise<boolean> {
  const { team, id } = input;
  const own = and(eq(apps.teamId, team), eq(apps.id, id), isNull(apps.destroyedAtMs));
  const [, destroyed] = await db.runAll({ kind: "team", team }, (statements) => [
    insertAudit(statements, {
      ...input,
      action: "app.destroy",
      subject: id,
      outcome: okIfExists(statements.select({ id: apps.id }).from(apps).where(own)),
    }),
    statements
      .update(apps)
      .set({ destroyedAtMs: sql`now()` })
      .where(own)
      .returning({ id: apps.id }),
    statements.delete(hostnames).where(and(eq(hostnames.teamId, team), eq(hostnames.appId, id))),
  ]);
  return destroyed.length > 0;
}
