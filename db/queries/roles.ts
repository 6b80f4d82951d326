// A team's own roles: each a name and its policies.
import { and, asc, count, eq, isNull } from "drizzle-orm";
import type { Failure, Result } from "../../contracts/failures.ts";
import type { TeamId, UserId } from "../../contracts/ids.ts";
import type { Database, Transaction } from "../connect.ts";
import { invitations, memberships, roles, type StoredPolicy } from "../schema/teams.ts";
import { insertAudit, type By } from "./audit.ts";
import { endInvitations } from "./members.ts";

export interface RoleRecord {
  readonly name: string;
  readonly policies: readonly StoredPolicy[];
  readonly updatedAtMs: number;
}
const shown = { name: roles.name, policies: roles.policies, updatedAtMs: roles.updatedAtMs };
const named = (team: TeamId, name: string) => and(eq(roles.teamId, team), eq(roles.name, name));
const refused = (code: Failure["code"], message: string): { ok: false; failure: Failure } => ({
  ok: false,
  failure: { code, message },
});

/** All of them: there are few. By name. */
export function listRoles(db: Database, team: TeamId): Promise<RoleRecord[]> {
  return db.run({ kind: "team", team }, (statements) =>
    statements.select(shown).from(roles).where(eq(roles.teamId, team)).orderBy(asc(roles.name)),
  );
}

export async function findRole(db: Database, team: TeamId, name: string): Promise<RoleRecord | null> {
  const [row] = await db.run({ kind: "team", team }, (statements) =>
    statements.select(shown).from(roles).where(named(team, name)),
  );
  return row ?? null;
}

interface OfRole extends By {
  readonly team: TeamId;
  readonly name: string;
  /** As they were when the caller's right to this was judged; others since: conflict. Null: there was no such role. */
  readonly judged: readonly StoredPolicy[] | null;
}

/** It counts at once for everyone who has it. The invitations that they made by what it allowed before end. */
export function putRole(
  db: Database,
  input: OfRole & { readonly policies: readonly StoredPolicy[]; readonly rolesMax: number },
): Promise<Result<RoleRecord>> {
  const { team, name, policies, judged } = input;
  return db.transaction({ kind: "team", team }, async (tx) => {
    const all = await tx.select(shown).from(roles).where(eq(roles.teamId, team)).for("update");
    const before = all.find((role) => role.name === name);
    if (JSON.stringify(before?.policies ?? null) !== JSON.stringify(judged)) return refused(...CHANGED);
    if (before === undefined && all.length >= input.rolesMax)
      return refused("conflict", `the team has ${input.rolesMax} roles of its own, which is the most it may have`);
    const [row] = await tx
      .insert(roles)
      .values({ teamId: team, name, policies })
      .onConflictDoUpdate({ target: [roles.teamId, roles.name], set: { policies, updatedAtMs: Date.now() } })
      .returning(shown);
    if (row === undefined) throw new Error(`the role ${name} was not stored`);
    if (before !== undefined) await endInvitations(tx, team, await holdersOf(tx, team, name));
    const was = before === undefined ? {} : { before: { policies: before.policies } };
    await insertAudit(tx, { ...input, action: "role.put", subject: name, ...was, after: { policies } });
    return { ok: true, value: row };
  });
}

async function holdersOf(tx: Transaction, team: TeamId, name: string): Promise<UserId[]> {
  const holds = and(eq(memberships.teamId, team), eq(memberships.role, name));
  return (await tx.select({ user: memberships.userId }).from(memberships).where(holds)).map(({ user }) => user);
}

/** conflict: somebody has it, or is invited to it. */
export function deleteRole(db: Database, input: OfRole): Promise<Result<null>> {
  const { team, name, judged } = input;
  return db.transaction({ kind: "team", team }, async (tx) => {
    // Held against those who are given it meanwhile: they look for it with the same hold.
    const [role] = await tx.select(shown).from(roles).where(named(team, name)).for("update");
    if (role === undefined) {
      await insertAudit(tx, { ...input, action: "role.delete", subject: name, outcome: "not_found" });
      return refused("not_found", `the team has no role ${name} of its own`);
    }
    if (JSON.stringify(role.policies) !== JSON.stringify(judged)) return refused(...CHANGED);
    const [members] = await tx
      .select({ all: count() })
      .from(memberships)
      .where(and(eq(memberships.teamId, team), eq(memberships.role, name)));
    const open = and(isNull(invitations.acceptedAtMs), isNull(invitations.revokedAtMs));
    const [invited] = await tx
      .select({ all: count() })
      .from(invitations)
      .where(and(eq(invitations.teamId, team), eq(invitations.role, name), open));
    const users = (members?.all ?? 0) + (invited?.all ?? 0);
    if (users > 0) return refused("conflict", `${users} members or open invitations have the role ${name}`);
    await tx.delete(roles).where(named(team, name));
    await insertAudit(tx, { ...input, action: "role.delete", subject: name, before: { policies: role.policies } });
    return { ok: true, value: null };
  });
}

const CHANGED = ["conflict", "the role was changed meanwhile: try again"] as const;
