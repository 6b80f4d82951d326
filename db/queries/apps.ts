// Apps and hostnames: who owns which name. What an app runs is asked of its App object.
import { and, desc, eq, isNull, lt, sql } from "drizzle-orm";
import type { FailureCode, FieldError, Result } from "../../contracts/failures.ts";
import { AppId, type ProjectId, type RegionName, type TeamId } from "../../contracts/ids.ts";
import type { Database, Statements } from "../connect.ts";
import { refusalIn, violatedConstraint } from "../errors.ts";
import { toUuid } from "../ids.ts";
import { apps, hostnames } from "../schema/apps.ts";
import { endHolding, startHolding } from "./app-holdings.ts";
import { insertAudit, okIfExists, type By } from "./audit.ts";
import { restHolds } from "./domain-holds.ts";
import { deleteDomainsOf } from "./domains.ts";
import { lockTeam, type QuotaPolicy } from "./quota-sql.ts";
import { quotaRefusalIn, spendFirst } from "./quotas.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";
import { DEFAULT_PROJECT, ensureDefaultProject, isAmong } from "./projects.ts";

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
  /** The projects in which the caller may make one; null: any. */
  readonly within?: readonly ProjectId[] | null;
  readonly regions: readonly RegionName[];
  readonly replicas: number;
  /** In the order of preference; the first that no app has becomes the app's. */
  readonly hostnameCandidates: readonly string[];
  /** Absent: of apps as many as one likes. */
  readonly quota?: QuotaPolicy;
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
 * One transaction, one request. The same id again answers the app that is there, so that a retry goes on where the first try ended.
 * name_taken: the team has a live app of that name. not_found: no such project. conflict: every hostname is taken. Throws OutOfQuota.
 */
export async function createApp(db: Database, input: CreateApp): Promise<Result<AppRecord>> {
  const { id, team, name, project = DEFAULT_PROJECT, hostnameCandidates } = input;
  try {
    const results = await db.runAll({ kind: "team", team }, (statements) => createStatements(statements, input));
    const [app] = results.at(-1) as AppRecord[];
    if (app === undefined) throw new Error(`app ${id} vanished within its transaction`);
    return { ok: true, value: app };
  } catch (error) {
    const constraint = violatedConstraint(error);
    if (constraint === "apps_pkey") return { ok: true, value: await ownApp(db, team, id) };
    if (constraint === "apps_name") return refuse("name_taken", `the team already has an app named ${name}`);
    const reason = refusalIn(error)?.reason;
    if (reason === "no_hostname")
      return refuse("conflict", `every hostname for ${name} is taken: ${hostnameCandidates.join(", ")}`);
    if (reason !== "no_project") throw quotaRefusalIn(error) ?? error;
    const message = `the team has no project named ${project}`;
    return refuse("not_found", message, [{ pointer: "/project", rule: "exists", message }]);
  }
}

const refuse = (code: FailureCode, message: string, errors?: FieldError[]): Result<never> => ({
  ok: false,
  failure: { code, message, ...(errors === undefined ? {} : { errors }) },
});

async function ownApp(db: Database, team: TeamId, id: AppId): Promise<AppRecord> {
  const app = await findApp(db, team, id);
  if (app === null) throw new Error(`app ${id} is another team's`);
  return app;
}

function createStatements(statements: Statements, input: CreateApp) {
  const { id, team, name, quota, project = DEFAULT_PROJECT } = input;
  const [teamUuid, appUuid] = [toUuid(team, "team"), toUuid(id, "app")];
  const within = sql.join(
    (input.within ?? []).map((one) => sql`${toUuid(one, "proj")}::uuid`),
    sql`, `,
  );
  const among = input.within ? sql`and id = any(array[${within}]::uuid[])` : sql``;
  const ofProject = sql`from projects where team_id = ${teamUuid} and name = ${project} ${among}`;
  const none = sql`not exists (select from hostnames where team_id = ${teamUuid} and app_id = ${appUuid})`;
  return [
    statements.execute(lockTeam(team)),
    ...(quota ? [spendFirst(statements, { team, policy: quota, asked: { apps: 1 }, exceptApp: id })] : []),
    ...(project === DEFAULT_PROJECT ? [ensureDefaultProject(statements, team)] : []),
    statements.execute(sql`select berth_refuse('no_project', null) where not exists (select ${ofProject})`),
    statements.execute(sql`insert into apps (id, team_id, project_id, name, regions, initial_replicas, created_by)
      select ${appUuid}, team_id, id, ${name}, array(select jsonb_array_elements_text(${JSON.stringify(input.regions)}::jsonb)), ${input.replicas}, ${input.actor} ${ofProject}`),
    // One after the other: a hostname that another team has is seen by nobody but the key over all teams.
    ...input.hostnameCandidates.map((hostname) =>
      statements.execute(sql`insert into hostnames (hostname, team_id, app_id)
        select ${hostname}, ${teamUuid}, ${appUuid} where ${none} on conflict do nothing`),
    ),
    statements.execute(sql`select berth_refuse('no_hostname', null) where ${none}`),
    startHolding(statements, team, id),
    insertAudit(statements, { ...input, action: "app.create", subject: id, after: { name, project } }),
    statements.select(columns).from(apps).where(eq(apps.id, id)),
  ] as const;
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

/** The live apps, newest first. within: of these projects; null: of all. */
export async function listApps(
  db: Database,
  team: TeamId,
  page: PageRequest,
  within: readonly ProjectId[] | null = null,
): Promise<Result<Page<AppRecord>>> {
  const cursor = decodeCursor(page.cursor, (key) => AppId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const rows = await db.run({ kind: "team", team }, (statements) =>
    selectApps(statements, { team, before: cursor.value as AppId | null, limit: page.limit + 1, within }),
  );
  return { ok: true, value: pageOf(rows, page.limit, (row) => row.id, (row) => row) }; // prettier-ignore
}

export function selectApps(
  statements: Statements,
  {
    team,
    before,
    limit,
    within,
  }: { team: TeamId; before: AppId | null; limit: number; within: readonly ProjectId[] | null },
) {
  const later = before === null ? undefined : lt(apps.id, before);
  return statements
    .select(columns)
    .from(apps)
    .where(and(eq(apps.teamId, team), isNull(apps.destroyedAtMs), later, isAmong(apps.projectId, within)))
    .orderBy(desc(apps.id))
    .limit(limit);
}

/** Gives name and hostnames back; the row stays for history. Its custom domains rest. False: there was no such live app. */
export async function destroyApp(
  db: Database,
  input: By & { team: TeamId; id: AppId; domainsRestUntilMs: number },
): Promise<boolean> {
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
    deleteDomainsOf(statements, team, id),
    endHolding(statements, team, id),
    restHolds(statements, { team, app: id, restsUntilMs: input.domainsRestUntilMs }),
  ]);
  return destroyed.length > 0;
}
