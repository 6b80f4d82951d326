// Who is asking: what every route gets from `authenticate`, and the roles of a team.
import type { Session, Team } from "../../../contracts/api.ts";
import type { ApiTokenId } from "../../../contracts/ids.ts";

export const TEAM_ROLES = ["owner", "admin", "member"] as const;
export type TeamRole = (typeof TEAM_ROLES)[number];

/** The caller in the one team this request is about. operator: may see and change nodes of the whole installation. */
export interface Caller {
  /** `user:<id>` or `token:<id>`: goes into audit rows, events and idempotency keys. */
  readonly actor: string;
  readonly user: Session["user"];
  readonly team: Team;
  readonly role: TeamRole;
  readonly operator: boolean;
  readonly via: "session" | "api_token";
  /** The API token that was shown, null for a session. */
  readonly token: ApiTokenId | null;
}

/** What the functions of this folder need of the control Worker's environment. */
export interface AuthEnv {
  readonly DATABASE_URL_APP: string;
  readonly DATABASE_URL_AUTH: string;
  readonly NEON_ADAPTER?: string;
  readonly BETTER_AUTH_SECRET: string;
  readonly SETUP_TOKEN: string;
}

/** A page as contracts' `page()` has it. */
export interface Page<Item> {
  readonly items: Item[];
  readonly nextCursor: string | null;
}
