// Sign-up, sign-in, sign-out, and the installation's first operator.
import type { Session, Setup, SignIn, SignUp } from "../../../contracts/api.ts";
import type { Failure, Result } from "../../../contracts/failures.ts";
import type { TeamId, UserId } from "../../../contracts/ids.ts";
import type { Database, Transaction } from "../../../db/connect.ts";
import { mintId } from "../../../db/ids.ts";
import { insertAudit } from "../../../db/queries/audit.ts";
import { findCallerBySession } from "../../../db/queries/callers.ts";
import { createPersonalTeam } from "../../../db/queries/teams.ts";
import { hasOperator, isRegistered, makeOperator } from "../../../db/queries/users.ts";
import type { z } from "zod";
import { accountsOn, refusalCode } from "./accounts.ts";
import { equalSecrets, readBearer, sessionBearer } from "./bearer.ts";
import type { AuthEnv } from "./caller.ts";
import { authDatabase } from "./databases.ts";
import { personalSlugs } from "./slugs.ts";

type Credentials = z.infer<typeof SignUp>;
const AUTH = { kind: "auth" } as const;
/** Thrown, so that the transaction is undone. */
class Refused extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** Makes user, personal team and session in one transaction. conflict: that address has an account. */
export function signUp(input: Credentials, env: AuthEnv): Promise<Result<Session>> {
  return opened(env, input.email, (tx) => addUser(tx, input, env));
}

/** Once per installation, makes the operator. forbidden: wrong token; conflict: already done. */
export async function setup(input: z.infer<typeof Setup>, env: AuthEnv): Promise<Result<Session>> {
  if (!(await equalSecrets(input.setupToken, env.SETUP_TOKEN))) {
    return { ok: false, failure: { code: "forbidden", message: "this is not the installation's setup token" } };
  }
  return opened(env, input.email, async (tx) => {
    if (await hasOperator(tx)) {
      throw new Refused({ code: "conflict", message: "Berth is set up already; sign in as its operator" });
    }
    const { email, password } = input;
    const { token, user } = await addUser(tx, { email, password, name: "Operator" }, env);
    await makeOperator(tx, user);
    await insertAudit(tx, { team: null, actor: `user:${user}`, action: "installation.setup", subject: user });
    return { token, user };
  });
}

async function addUser(tx: Transaction, input: Credentials, env: AuthEnv): Promise<{ token: string; user: UserId }> {
  const { token, user } = await accountsOn(tx, env.BETTER_AUTH_SECRET).api.signUpEmail({ body: input });
  if (token === null) throw new Error("the account was made without a session");
  const id = mintId<TeamId>("team");
  const owner = user.id as UserId;
  await createPersonalTeam(tx, { id, slugs: personalSlugs(input.email, id), name: input.name, owner });
  await insertAudit(tx, { team: id, actor: `user:${owner}`, action: "user.sign_up", subject: owner });
  return { token, user: owner };
}

export function signIn(input: z.infer<typeof SignIn>, env: AuthEnv): Promise<Result<Session>> {
  return opened(env, input.email, async (tx) => {
    const { token } = await accountsOn(tx, env.BETTER_AUTH_SECRET).api.signInEmail({ body: input });
    return { token };
  });
}

/** Runs a transaction that ends with a session, and shows that session as the API does. */
async function opened(
  env: AuthEnv,
  email: string,
  work: (tx: Transaction) => Promise<{ token: string }>,
): Promise<Result<Session>> {
  const db = authDatabase(env);
  let token: string;
  try {
    ({ token } = await db.transaction(AUTH, work));
  } catch (error) {
    return { ok: false, failure: await failureOf(error, db, email) };
  }
  const caller = await findCallerBySession(db, token, undefined);
  if (!caller?.team) return { ok: false, failure: { code: "unauthenticated", message: "the session ended already" } };
  return {
    ok: true,
    value: {
      token: await sessionBearer(token, env.BETTER_AUTH_SECRET),
      expiresAtMs: caller.expiresAtMs ?? 0,
      user: caller.user,
      team: caller.team,
    },
  };
}

/** What better-auth refuses, in our words; everything else is thrown on. */
async function failureOf(error: unknown, db: Database, email: string): Promise<Failure> {
  if (error instanceof Refused) return error.failure;
  switch (refusalCode(error)) {
    case "INVALID_EMAIL_OR_PASSWORD":
      return { code: "unauthenticated", message: "the e-mail address or the password is wrong" };
    case "USER_ALREADY_EXISTS":
    case "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL":
      return conflict();
    case "INVALID_EMAIL":
      return invalid("/email", "must be an e-mail address");
    case "INVALID_PASSWORD":
    case "PASSWORD_TOO_SHORT":
    case "PASSWORD_TOO_LONG":
      return invalid("/password", "must have 10 to 128 characters");
    case "FAILED_TO_CREATE_USER":
      // better-auth hides why: either another sign-up with this address was quicker, or Postgres is away, which this asks.
      if (await isRegistered(db, email)) return conflict();
      throw error;
    default:
      throw error;
  }
}

function conflict(): Failure {
  const message = "there is an account with this e-mail address";
  return { code: "conflict", message, errors: [{ pointer: "/email", rule: "unique", message }] };
}

function invalid(pointer: string, message: string): Failure {
  return { code: "invalid_request", message: `${pointer} ${message}`, errors: [{ pointer, rule: "format", message }] };
}

/** Ends the session that the request's bearer names; harmless when repeated. */
export async function signOut(request: Request, env: AuthEnv): Promise<Result<null>> {
  const bearer = await readBearer(request, env.BETTER_AUTH_SECRET);
  if (bearer?.kind !== "session") {
    return { ok: false, failure: { code: "unauthenticated", message: "only a session can be signed out" } };
  }
  await authDatabase(env).transaction(AUTH, async (tx) => {
    const { internalAdapter } = await accountsOn(tx, env.BETTER_AUTH_SECRET).$context;
    await internalAdapter.deleteSession(bearer.token);
  });
  return { ok: true, value: null };
}
