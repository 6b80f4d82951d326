// The team of somebody's own: made at sign-up, or when somebody comes in by themselves and has only teams whose providers named them.
import type { TeamId, UserId } from "../../../contracts/ids.ts";
import type { Transaction } from "../../../db/connect.ts";
import { mintId } from "../../../db/ids.ts";
import { insertAudit } from "../../../db/queries/audit.ts";
import { createPersonalTeam, hasChosenTeam } from "../../../db/queries/teams.ts";
import { holdUser } from "../../../db/queries/users.ts";
import { personalSlugs } from "./slugs.ts";

export async function makeOwnTeam(
  tx: Transaction,
  owner: UserId,
  { email, name }: { readonly email: string; readonly name: string },
): Promise<TeamId> {
  const id = mintId<TeamId>("team");
  const slugs = personalSlugs(email, id);
  await createPersonalTeam(tx, { id, slugs, name: name === "" ? (email.split("@")[0] ?? "") : name, owner });
  return id;
}

/** For a session that no team's provider opened. */
export async function ensureOwnTeam(tx: Transaction, user: UserId): Promise<void> {
  if (await hasChosenTeam(tx, user)) return;
  // Two sign-ins at once make one team.
  const held = await holdUser(tx, user);
  if (await hasChosenTeam(tx, user)) return;
  const team = await makeOwnTeam(tx, user, held);
  await insertAudit(tx, { team, actor: `user:${user}`, action: "team.create", subject: team });
}
