// What happens whenever better-auth makes a user, a session or an account: who may sign up, whose team it is, and what a session may reach.
import { APIError } from "better-auth/api";
import type { BetterAuthOptions } from "better-auth/types";
import type { TeamId, UserId } from "../../../contracts/ids.ts";
import type { Transaction } from "../../../db/connect.ts";
import { insertAudit } from "../../../db/queries/audit.ts";
import { takeInvitation } from "../../../db/queries/sign-up-invitations.ts";
import { addMemberBySignOn } from "../../../db/queries/teams.ts";
import { isOperator, showUser } from "../../../db/queries/users.ts";
import * as letters from "../mail/letters.ts";
import type { Letter } from "../mail/mailer.ts";
import type { AuthEnv } from "./caller.ts";
import { ensureOwnTeam, makeOwnTeam } from "./own-team.ts";
import { signUpPolicy } from "./policy.ts";
import { signOnTeamOf } from "./providers/providers.ts";

interface HooksInput {
  readonly tx: Transaction;
  readonly env: AuthEnv;
  readonly letters: Letter[];
  readonly origin: string;
  readonly first: boolean;
}

const CALLBACK = "/callback/:id";
const DEVICE_PATH = "/device/token";
const SECOND_FACTOR_PATHS = ["/two-factor/verify-totp", "/two-factor/verify-backup-code"];

type Context = { readonly path?: string; readonly params?: unknown } | null;

/** The provider whose answer this request brings; null where it brings none. */
function providerOf(context: Context): string | null {
  if (context?.path !== CALLBACK) return null;
  return (context.params as { id?: string } | undefined)?.id ?? null;
}

/** The team whose provider answers. */
function vouchingTeamOf(context: Context): TeamId | null {
  const provider = providerOf(context);
  return provider === null ? null : signOnTeamOf(provider);
}

export function accountHooks(input: HooksInput): NonNullable<BetterAuthOptions["databaseHooks"]> {
  const { tx, env, first } = input;
  const made = new Set<string>();
  return {
    user: {
      create: {
        async before(user, context) {
          if (first) return;
          const provider = providerOf(context);
          const isTeams = vouchingTeamOf(context) !== null;
          // An address that nobody proved is as good as somebody else's.
          if (provider !== null && !user.emailVerified) refuse("email_not_verified");
          const policy = signUpPolicy(env);
          if (policy === "closed") refuse("sign_up_closed");
          if (policy === "invited" && !isTeams && !(await takeInvitation(tx, user.email))) refuse("not_invited");
        },
        async after(user, context) {
          const owner = user.id as UserId;
          made.add(owner);
          const team = vouchingTeamOf(context) ?? (await makeOwnTeam(tx, owner, user));
          await insertAudit(tx, { team, actor: `user:${owner}`, action: "user.sign_up", subject: owner });
        },
      },
    },
    session: {
      create: {
        async before(session, context) {
          const signOnTeam = vouchingTeamOf(context);
          // Else a team could make an operator of whom it likes.
          if (signOnTeam !== null && (await isOperator(tx, session.userId as UserId))) refuse("operator_by_team");
          const secondFactor = SECOND_FACTOR_PATHS.includes(context?.path ?? "");
          return {
            data: {
              ...session,
              ...(secondFactor ? { secondFactor } : {}),
              ...(signOnTeam === null ? {} : { signOnTeam }),
            },
          };
        },
        async after(session, context) {
          // A device's session is whatever its approver's was: devices.ts.
          if (context?.path === DEVICE_PATH || vouchingTeamOf(context) !== null) return;
          await ensureOwnTeam(tx, session.userId as UserId);
        },
      },
    },
    account: {
      create: {
        // A provider is asked who somebody is, and nothing else: its tokens are not kept.
        async before(account) {
          return { data: { ...account, accessToken: null, refreshToken: null, idToken: null } };
        },
        async after(account, context) {
          const user = account.userId as UserId;
          const vouching = vouchingTeamOf(context);
          if (vouching !== null) await addMemberBySignOn(tx, vouching, user);
          if (providerOf(context) !== null && !made.has(user)) await tellLinked(input, user, account.providerId);
        },
      },
    },
  };
}

/** An account of before has one more way in. */
async function tellLinked(
  { tx, letters: outgoing, origin }: HooksInput,
  user: UserId,
  provider: string,
): Promise<void> {
  const found = await showUser(tx, user);
  if (found !== null) outgoing.push(letters.notice(found.email, "sign_in_linked", origin));
  const team = signOnTeamOf(provider);
  const what = { action: "sign_in.link", subject: user, data: { provider: team ?? provider } };
  await insertAudit(tx, { team, actor: `user:${user}`, ...what });
}

function refuse(code: string): never {
  throw new APIError("FORBIDDEN", { code, message: code.replaceAll("_", " ") });
}
