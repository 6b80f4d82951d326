// How a team's members may sign in, as berth_auth: whether with a second factor, and the team's own OpenID provider.
import { and, asc, eq, gt } from "drizzle-orm";
import type { TeamId, UserId } from "../../contracts/ids.ts";
import type { Database, Transaction } from "../connect.ts";
import { toUuid } from "../ids.ts";
import { accounts, deviceCodes, sessions, users } from "../schema/auth.ts";
import { singleSignOns, teams } from "../schema/teams.ts";
import { insertAudit, type By } from "./audit.ts";
import type { SealedRow } from "./sealed-rows.ts";

const AUTH = { kind: "auth" } as const;

export interface SingleSignOnRecord {
  readonly issuer: string;
  readonly clientId: string;
  readonly domains: readonly string[];
  readonly enforced: boolean;
}
const shown = {
  issuer: singleSignOns.issuer,
  clientId: singleSignOns.clientId,
  domains: singleSignOns.domains,
  enforced: singleSignOns.enforced,
};

export async function readSignInPolicy(
  db: Database,
  team: TeamId,
): Promise<{ secondFactorRequired: boolean; singleSignOn: SingleSignOnRecord | null }> {
  const [policies, signOns] = await db.runAll(AUTH, (statements) => [
    statements.select({ required: teams.secondFactorRequired }).from(teams).where(eq(teams.id, team)),
    statements.select(shown).from(singleSignOns).where(eq(singleSignOns.teamId, team)),
  ]);
  return { secondFactorRequired: policies[0]?.required ?? false, singleSignOn: signOns[0] ?? null };
}

type OfTeam = By & { readonly team: TeamId };

/** False, and nothing was changed: whoever asks for it has none themselves, and would shut themselves out. */
export async function putSecondFactorPolicy(
  db: Database,
  input: OfTeam & { readonly user: UserId; readonly required: boolean },
): Promise<boolean> {
  const { team, required, user } = input;
  return db.transaction(AUTH, async (tx) => {
    const [asker] = await tx.select({ has: users.twoFactorEnabled }).from(users).where(eq(users.id, user));
    if (required && asker?.has !== true) return false;
    const [before] = await tx.select({ required: teams.secondFactorRequired }).from(teams).where(eq(teams.id, team));
    await tx.update(teams).set({ secondFactorRequired: required }).where(eq(teams.id, team));
    const deed = { action: "second_factor.require", subject: team, ...(before === undefined ? {} : { before }) };
    await insertAudit(tx, { ...input, ...deed, after: { required } });
    return true;
  });
}

/** sealedSecret: no audit holds it, nor says more of it than that it was given. */
export async function putSingleSignOn(
  db: Database,
  input: OfTeam & SingleSignOnRecord & { readonly sealedSecret: string },
): Promise<void> {
  const { team, issuer, clientId, domains, enforced, sealedSecret } = input;
  const wanted = { issuer, clientId, domains: [...domains], enforced };
  await db.transaction(AUTH, async (tx) => {
    const [before] = await tx.select(shown).from(singleSignOns).where(eq(singleSignOns.teamId, team)).for("update");
    // Another issuer's names for people are other people.
    if (before !== undefined && before.issuer !== issuer) await forgetPeople(tx, team);
    const row = { ...wanted, clientSecret: sealedSecret };
    await tx
      .insert(singleSignOns)
      .values({ teamId: team, ...row })
      .onConflictDoUpdate({ target: singleSignOns.teamId, set: row });
    const deed = { action: "single_sign_on.put", subject: team, ...(before === undefined ? {} : { before }) };
    await insertAudit(tx, { ...input, ...deed, after: wanted });
  });
}

/** Whether there was one. */
export async function deleteSingleSignOn(db: Database, input: OfTeam): Promise<boolean> {
  return db.transaction(AUTH, async (tx) => {
    const [before] = await tx.delete(singleSignOns).where(eq(singleSignOns.teamId, input.team)).returning(shown);
    const deed = { ...input, action: "single_sign_on.delete", subject: input.team };
    await insertAudit(tx, before === undefined ? { ...deed, outcome: "not_found" } : { ...deed, before });
    if (before === undefined) return false;
    await forgetPeople(tx, input.team);
    return true;
  });
}

/** Whom the provider vouched for, and the sessions that rest on it. */
async function forgetPeople(tx: Transaction, team: TeamId): Promise<void> {
  await tx.delete(sessions).where(eq(sessions.signOnTeam, team));
  await tx.delete(deviceCodes).where(eq(deviceCodes.signOnTeam, team));
  await tx.delete(accounts).where(eq(accounts.providerId, `sso-${toUuid(team, "team")}`));
}

export interface TeamSignOn extends SingleSignOnRecord {
  readonly team: TeamId;
  readonly sealedSecret: string;
}

/** By the team's slug, as people type it, or its id. Null: no such team, or it has no provider. */
export async function findSingleSignOn(
  db: Database,
  by: { readonly slug: string } | { readonly team: TeamId },
): Promise<TeamSignOn | null> {
  const [row] = await db.run(AUTH, (statements) =>
    statements
      .select({ ...shown, team: teams.id, sealedSecret: singleSignOns.clientSecret })
      .from(teams)
      .innerJoin(singleSignOns, eq(singleSignOns.teamId, teams.id))
      .where("slug" in by ? eq(teams.slug, by.slug) : eq(teams.id, by.team)),
  );
  return row ?? null;
}

/** For the sweep that wraps what lies sealed anew. */
export async function singleSignOnsAfter(db: Database, cursor: string, limit: number): Promise<SealedRow[]> {
  const rows = await db.run(AUTH, (statements) =>
    statements
      .select({ team: singleSignOns.teamId, name: singleSignOns.clientId, sealed: singleSignOns.clientSecret })
      .from(singleSignOns)
      .where(cursor === "" ? undefined : gt(singleSignOns.teamId, cursor as TeamId))
      .orderBy(asc(singleSignOns.teamId))
      .limit(limit),
  );
  return rows.map((row) => ({ ...row, scope: "single_sign_on", cursor: row.team }));
}

export async function rewrapSingleSignOn(db: Database, { team, sealed }: SealedRow, fresh: string): Promise<void> {
  await db.run(AUTH, (statements) =>
    statements
      .update(singleSignOns)
      .set({ clientSecret: fresh })
      .where(and(eq(singleSignOns.teamId, team), eq(singleSignOns.clientSecret, sealed))),
  );
}
