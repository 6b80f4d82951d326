// Who is asking: what every route gets from `authenticate`, and what it may as core/authorise sees it.
import { TEAM_ROLES, type TeamRole } from "../../../contracts/access.ts";
import type { Session, Team } from "../../../contracts/api.ts";
import type { ApiTokenId } from "../../../contracts/ids.ts";
import type { Role, Subject } from "../../../core/authorise/types.ts";
import type { StoredPolicy } from "../../../db/schema/teams.ts";
import type { MailEnv } from "../mail/mailer.ts";

/** The caller in the one team this request is about. operator: may see and change nodes of the whole installation. */
export interface Caller {
  /** `user:<id>`, `token:<id>`, or `operator:<id>` of one who entered the team: goes into audit rows, events and idempotency keys. */
  readonly actor: string;
  readonly user: Session["user"];
  readonly team: Team;
  readonly subject: Subject;
  readonly operator: boolean;
  readonly via: "session" | "api_token";
  /** As an operator, for a while, into a team that is not theirs. */
  readonly entered: boolean;
  /** The API token that was shown, null for a session. */
  readonly token: ApiTokenId | null;
  /** The team wants a second factor that was not shown: nothing of the team is to be reached. */
  readonly lacksSecondFactor: boolean;
  /** The team wants its members to come in through its own provider: as above. */
  readonly lacksSignOn: boolean;
  /** A session of the team's single sign-on: of this team, and of nothing that is the account's own. */
  readonly signedOn: boolean;
}

/** `member` in rows of old: developer. A role that is no longer there allows nothing. */
export function roleNamed(name: string, policies: readonly StoredPolicy[] | null): Role {
  if (name === "member") return { kind: "built_in", name: "developer" };
  if ((TEAM_ROLES as readonly string[]).includes(name)) return { kind: "built_in", name: name as TeamRole };
  return { kind: "custom", name, grants: policies ?? [] };
}

/** The operator's settings of who comes in, and by what. */
export interface SignInSettings {
  /** What GitHub and Google gave the operator; without both parts of one nobody signs in by it. URL: an Enterprise Server; another issuer. */
  readonly GITHUB_CLIENT_ID?: string;
  readonly GITHUB_CLIENT_SECRET?: string;
  readonly GITHUB_URL?: string;
  readonly GOOGLE_CLIENT_ID?: string;
  readonly GOOGLE_CLIENT_SECRET?: string;
  readonly GOOGLE_URL?: string;
  /** Who may make an account: `open`, `invited` (the default) or `closed`. */
  readonly SIGN_UP?: string;
}

/** What the functions of this folder need of the control Worker's environment. */
export interface AuthEnv extends MailEnv, SignInSettings {
  readonly DATABASE_URL_APP: string;
  readonly DATABASE_URL_AUTH: string;
  readonly NEON_ADAPTER?: string;
  readonly BETTER_AUTH_SECRET: string;
  readonly SETUP_TOKEN: string;
  readonly SECRETS_KEYS?: string;
  /** Of the guard for what users name: ways that the operator opened; the resolver. */
  readonly OUTBOUND_ALLOW?: string;
  readonly DOH_URL?: string;
}

/** A page as contracts' `page()` has it. */
export interface Page<Item> {
  readonly items: Item[];
  readonly nextCursor: string | null;
}
