// Teams and who is in them, as berth_auth.
import { and, asc, eq } from "drizzle-orm";
import type { Result } from "../../contracts/failures.ts";
import type { TeamId, UserId } from "../../contracts/ids.ts";
import type { Database, Transaction } from "../connect.ts";
import { violatedConstraint } from "../errors.ts";
import { memberships, teams } from "../schema/teams.ts";
import { insertAudit, type By } from "./audit.ts";
import { teamOfUser, type TeamOfUser } from "./callers.ts";

/** The user's teams, oldest membership first. */
export function listTeamsOf(db: Database, user: UserId): Promise<TeamOfUser[]> {
  return db.run({ kind: "auth" }, (statements) =>
    statements
      .select(teamOfUser)
      .from(memberships)
      .innerJoin(teams, eq(teams.id, memberships.teamId))
      .where(eq(memberships.userId, user))
      .orderBy(asc(memberships.createdAtMs), asc(memberships.teamId)),
  );
}

/** name_taken: slugs are unique over the installation, because hostnames are made of them. The same id again changes nothing. */
export async function createTeam(
  db: Database,
  input: By & { id: TeamId; slug: string; name: string; owner: UserId },
): Promise<Result<TeamOfUser>> {
  const { id, slug, name, owner } = input;
  try {
    const [, , , [team]] = await db.runAll({ kind: "auth" }, (statements) => [
      statements.insert(teams).values({ id, slug, name }).onConflictDoNothing({ target: teams.id }),
      statements.insert(memberships).values({ teamId: id, userId: owner, role: "owner" }).onConflictDoNothing(),
      insertAudit(statements, { ...input, team: id, action: "team.create", subject: id, after: { slug, name } }),
      statements
        .select(teamOfUser)
        .from(memberships)
        .innerJoin(teams, eq(teams.id, memberships.teamId))
        .where(and(eq(memberships.userId, owner), eq(teams.id, id))),
    ]);
    if (team === undefined) throw new Error(`team ${id} vanished within its transaction`);
    return { ok: true, value: team };
  } catch (error) {
    if (violatedConstraint(error) !== "teams_slug_unique") throw error;
    return { ok: false, failure: { code: "name_taken", message: `a team with the slug ${slug} exists already` } };
  }
}

/** As berth_app, within the team. name_taken: another team has the slug. */
export async function renameTeam(
  db: Database,
  input: By & { readonly team: TeamId; readonly name?: string | undefined; readonly slug?: string | undefined },
): Promise<Result<null>> {
  const { team, name, slug } = input;
  const wanted = { ...(name === undefined ? {} : { name }), ...(slug === undefined ? {} : { slug }) };
  try {
    await db.transaction({ kind: "team", team }, async (tx) => {
      const shown = { name: teams.name, slug: teams.slug };
      const [before] = await tx.select(shown).from(teams).where(eq(teams.id, team)).for("update");
      await tx.update(teams).set(wanted).where(eq(teams.id, team));
      await insertAudit(tx, {
        ...{ ...input, action: "team.rename", subject: team },
        ...(before === undefined ? {} : { before }),
        after: wanted,
      });
    });
    return { ok: true, value: null };
  } catch (error) {
    if (violatedConstraint(error) !== "teams_slug_unique") throw error;
    return { ok: false, failure: { code: "name_taken", message: `a team with the slug ${slug} exists already` } };
  }
}

/** A team of one, at sign-up: the first of the slugs that nobody has. */
export async function createPersonalTeam(
  tx: Transaction,
  input: { id: TeamId; slugs: readonly string[]; name: string; owner: UserId },
): Promise<void> {
  for (const slug of input.slugs) {
    const made = await tx
      .insert(teams)
      .values({ id: input.id, slug, name: input.name })
      .onConflictDoNothing({ target: teams.slug })
      .returning({ id: teams.id });
    if (made.length === 0) continue;
    await tx.insert(memberships).values({ teamId: input.id, userId: input.owner, role: "owner" });
    return;
  }
  throw new Error(`no slug is free: ${input.slugs.join(", ")}`);
}

/** Whether there is one that they made or were invited to. */
export async function hasChosenTeam(tx: Transaction, user: UserId): Promise<boolean> {
  const isChosen = and(eq(memberships.userId, user), eq(memberships.bySignOn, false));
  return (await tx.select({ team: memberships.teamId }).from(memberships).where(isChosen).limit(1)).length > 0;
}

/** By the word of the team's provider, as the least that a member can be; harmless where they are one already. */
export async function addMemberBySignOn(tx: Transaction, team: TeamId, user: UserId): Promise<void> {
  const row = { teamId: team, userId: user, role: "viewer", bySignOn: true };
  await tx.insert(memberships).values(row).onConflictDoNothing();
}
