// What lies sealed in Postgres, row by row, for the sweep that wraps it anew. Ciphertext in, ciphertext out.
import { and, asc, eq, gt, isNotNull, notLike, isNull, sql } from "drizzle-orm";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { apps } from "../schema/apps.ts";
import { idempotencyKeys } from "../schema/requests.ts";
import { environmentVersions, registries } from "../schema/secrets.ts";

const SWEEP = { kind: "sweep" } as const;

/** cursor: of this row; the next page begins after it. */
export interface SealedRow {
  readonly cursor: string;
  readonly team: TeamId;
  readonly scope: string;
  readonly name: string;
  readonly sealed: string;
}

/** Apps that were not destroyed: an object that was has forgotten its environments. */
export async function appsAfter(db: Database, cursor: string, limit: number): Promise<{ id: AppId }[]> {
  return db.run(SWEEP, (statements) =>
    statements
      .select({ id: apps.id })
      .from(apps)
      .where(and(isNull(apps.destroyedAtMs), cursor === "" ? undefined : gt(apps.id, cursor as AppId)))
      .orderBy(asc(apps.id))
      .limit(limit),
  );
}

export async function registriesAfter(db: Database, cursor: string, limit: number): Promise<SealedRow[]> {
  const [team = "", host = ""] = cursor.split(" ");
  const after = sql`(${registries.teamId}, ${registries.host}) > (${sql.param(team as TeamId, registries.teamId)}, ${host})`;
  const rows = await db.run(SWEEP, (statements) =>
    statements
      .select({ team: registries.teamId, name: registries.host, sealed: registries.sealedPassword })
      .from(registries)
      .where(cursor === "" ? undefined : after)
      .orderBy(asc(registries.teamId), asc(registries.host))
      .limit(limit),
  );
  return rows.map((row) => ({ ...row, scope: "registry", cursor: `${row.team} ${row.name}` }));
}

export async function rewrapRegistry(db: Database, { team, name, sealed }: SealedRow, fresh: string): Promise<void> {
  await db.run(SWEEP, (statements) =>
    statements
      .update(registries)
      .set({ sealedPassword: fresh })
      .where(and(eq(registries.teamId, team), eq(registries.host, name), eq(registries.sealedPassword, sealed))),
  );
}

export async function environmentVersionsAfter(db: Database, cursor: string, limit: number): Promise<SealedRow[]> {
  const { id, teamId, appId, name, sealed } = environmentVersions;
  const rows = await db.run(SWEEP, (statements) =>
    statements
      .select({ id, team: teamId, scope: appId, name, sealed })
      .from(environmentVersions)
      // A reference is no value.
      .where(and(isNotNull(sealed), notLike(sealed, "ref:%"), cursor === "" ? undefined : gt(id, cursor)))
      .orderBy(asc(id))
      .limit(limit),
  );
  return rows.map((row) => ({ ...row, sealed: row.sealed ?? "", cursor: row.id }));
}

/** History is append-only: a function of the owner does this one thing, and only to the wrapping. */
export async function rewrapEnvironmentVersion(db: Database, row: SealedRow, fresh: string): Promise<void> {
  await db.run(SWEEP, (statements) =>
    statements.execute(sql`select rewrap_environment_version(${row.cursor}::uuid, ${row.sealed}, ${fresh})`),
  );
}

/** Kept answers of the last day; cursor: actor and key within the team. */
export async function keptAnswersAfter(db: Database, cursor: string, limit: number): Promise<SealedRow[]> {
  const { teamId, actor, key, body } = idempotencyKeys;
  const [team, rest] = split(cursor);
  const after = sql`(${teamId}, ${actor} || ' ' || ${key}) > (${sql.param(team as TeamId, teamId)}, ${rest})`;
  const rows = await db.run(SWEEP, (statements) =>
    statements
      .select({ team: teamId, actor, key, body })
      .from(idempotencyKeys)
      .where(and(isNotNull(body), cursor === "" ? undefined : after))
      .orderBy(asc(teamId), sql`${actor} || ' ' || ${key}`)
      .limit(limit),
  );
  return rows.map((row) => {
    const name = `${row.actor} ${row.key}`;
    const { sealed = "" } = row.body as { sealed?: string };
    return { team: row.team, scope: "idempotency", name, sealed, cursor: `${row.team} ${name}` };
  });
}

export async function rewrapKeptAnswer(db: Database, { team, name, sealed }: SealedRow, fresh: string): Promise<void> {
  const [actor, key] = split(name);
  await db.run(SWEEP, (statements) =>
    statements
      .update(idempotencyKeys)
      .set({ body: { sealed: fresh } })
      .where(
        and(
          eq(idempotencyKeys.teamId, team),
          eq(idempotencyKeys.actor, actor),
          eq(idempotencyKeys.key, key),
          sql`${idempotencyKeys.body} ->> 'sealed' = ${sealed}`,
        ),
      ),
  );
}

/** At the first space: an actor has none, a key may. */
function split(text: string): [string, string] {
  const at = text.indexOf(" ");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
