// Pull credentials of a team, one per registry host; sealed before they come here.
import { and, asc, eq, gt } from "drizzle-orm";
import type { Result } from "../../contracts/failures.ts";
import type { TeamId } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { registries } from "../schema/secrets.ts";
import { insertAudit, okIfExists, type By } from "./audit.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

export interface RegistryRecord {
  readonly host: string;
  readonly username: string;
  readonly updatedAtMs: number;
}

const shown = { host: registries.host, username: registries.username, updatedAtMs: registries.updatedAtMs };
const ofHost = (team: TeamId, host: string) => and(eq(registries.teamId, team), eq(registries.host, host));

/** Sets or replaces. */
export async function putRegistry(
  db: Database,
  input: By & { team: TeamId; host: string; username: string; sealedPassword: string },
): Promise<RegistryRecord> {
  const { team, host, username, sealedPassword } = input;
  const [[row]] = await db.runAll({ kind: "team", team }, (statements) => [
    statements
      .insert(registries)
      .values({ teamId: team, host, username, sealedPassword, updatedAtMs: Date.now() })
      .onConflictDoUpdate({
        target: [registries.teamId, registries.host],
        set: { username, sealedPassword, updatedAtMs: Date.now() },
      })
      .returning(shown),
    insertAudit(statements, { ...input, action: "registry.put", subject: host, after: { username } }),
  ]);
  if (row === undefined) throw new Error(`the credential for ${host} was not stored`);
  return row;
}

/** By host. */
export async function listRegistries(
  db: Database,
  team: TeamId,
  page: PageRequest,
): Promise<Result<Page<RegistryRecord>>> {
  const cursor = decodeCursor(page.cursor, (key) => /^[\x21-\x7e]{1,253}$/.test(key));
  if (!cursor.ok) return cursor;
  const after = cursor.value === null ? undefined : gt(registries.host, cursor.value);
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select(shown)
      .from(registries)
      .where(and(eq(registries.teamId, team), after))
      .orderBy(asc(registries.host))
      .limit(page.limit + 1),
  );
  const value = pageOf(
    rows,
    page.limit,
    (row) => row.host,
    (row) => row,
  );
  return { ok: true, value };
}

/** The sealed credential, for a node that pulls. Null: the team has none for that host. */
export async function findRegistry(
  db: Database,
  team: TeamId,
  host: string,
): Promise<{ username: string; sealedPassword: string } | null> {
  const [row] = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select({ username: registries.username, sealedPassword: registries.sealedPassword })
      .from(registries)
      .where(ofHost(team, host)),
  );
  return row ?? null;
}

/** False: there was none. */
export async function deleteRegistry(db: Database, input: By & { team: TeamId; host: string }): Promise<boolean> {
  const { team, host } = input;
  const [, deleted] = await db.runAll({ kind: "team", team }, (statements) => [
    insertAudit(statements, {
      ...input,
      action: "registry.delete",
      subject: host,
      outcome: okIfExists(statements.select({ host: registries.host }).from(registries).where(ofHost(team, host))),
    }),
    statements.delete(registries).where(ofHost(team, host)).returning({ host: registries.host }),
  ]);
  return deleted.length > 0;
}
