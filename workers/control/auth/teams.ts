// Teams as their members see them.
import type { z } from "zod";
import type { Team, TeamCreate } from "../../../contracts/api.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { TeamId } from "../../../contracts/ids.ts";
import { mintId } from "../../../db/ids.ts";
import type { By } from "../../../db/queries/audit.ts";
import * as queries from "../../../db/queries/teams.ts";
import type { AuthEnv, Caller } from "./caller.ts";
import { authDatabase } from "./databases.ts";

/** The caller becomes its owner; with the freshly minted id of a first try, nothing is made twice. An API token is bound to its team and may not found another. */
export async function createTeam(
  caller: Caller,
  { slug, name }: z.infer<typeof TeamCreate>,
  env: AuthEnv,
  { id = mintId("team"), by = { actor: caller.actor } }: { id?: TeamId; by?: By } = {},
): Promise<Result<Team>> {
  if (caller.via === "api_token") {
    return {
      ok: false,
      failure: { code: "forbidden", message: "an API token belongs to one team; sign in to make another" },
    };
  }
  return queries.createTeam(authDatabase(env), { ...by, id, slug, name, owner: caller.user.id });
}

/** All teams of the user, oldest first; of a token or of a team's single sign-on that team alone. */
export async function listTeams(caller: Caller, env: AuthEnv): Promise<Result<Team[]>> {
  if (caller.via === "api_token" || caller.signedOn) return { ok: true, value: [caller.team] };
  return { ok: true, value: await queries.listTeamsOf(authDatabase(env), caller.user.id) };
}
