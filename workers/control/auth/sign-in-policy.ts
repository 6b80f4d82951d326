// What a team asks of its members' sign-ins: a second factor, or the team's own OpenID provider.
import type { SignInPolicy, SingleSignOn } from "../../../contracts/account.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { TeamId } from "../../../contracts/ids.ts";
import type { By } from "../../../db/queries/audit.ts";
import * as queries from "../../../db/queries/sign-in-policies.ts";
import { seal } from "../secrets/seal.ts";
import { AUTH_PATH, originOf } from "./accounts.ts";
import type { AuthEnv, Caller } from "./caller.ts";
import { authDatabase } from "./databases.ts";
import { providerFetch } from "./providers/ask-provider.ts";
import { discover } from "./providers/openid.ts";
import { faultOfProvider, signOnId, signOnPlace } from "./providers/providers.ts";

type Of = Pick<Caller, "team">;
const OWN_FACTOR_FIRST =
  "You have no second factor yourself, and would shut yourself out: `berth account second-factor on` first.";

export async function readSignInPolicy({ team }: Of, env: AuthEnv): Promise<SignInPolicy> {
  const { secondFactorRequired, singleSignOn } = await queries.readSignInPolicy(authDatabase(env), team.id);
  const origin = originOf(env);
  const addresses = {
    callbackUrl: `${origin}${AUTH_PATH}/callback/${signOnId(team.id)}`,
    signInUrl: `${origin}/account/sign-on/${team.slug}`,
  };
  return { secondFactorRequired, singleSignOn: singleSignOn && { ...shownOf(singleSignOn), ...addresses } };
}

const shownOf = ({ domains, ...rest }: queries.SingleSignOnRecord) => ({ ...rest, domains: [...domains] });

/** conflict: whoever asks for it has none themselves. */
export async function requireSecondFactor(
  { team, user }: Pick<Caller, "team" | "user">,
  required: boolean,
  env: AuthEnv,
  by: By,
): Promise<Result<SignInPolicy>> {
  const change = { ...by, team: team.id, user: user.id, required };
  if (await queries.putSecondFactorPolicy(authDatabase(env), change))
    return { ok: true, value: await readSignInPolicy({ team }, env) };
  return { ok: false, failure: { code: "conflict", message: OWN_FACTOR_FIRST } };
}

/** unprocessable: the issuer does not answer as an OpenID provider does; conflict: nobody could come back from it. */
export async function putSingleSignOn(
  { team }: Of,
  input: SingleSignOn,
  env: AuthEnv,
  by: By,
): Promise<Result<SignInPolicy>> {
  if (env.CONTROL_ORIGIN === undefined)
    return { ok: false, failure: { code: "conflict", message: "this installation has no pages (CONTROL_ORIGIN)" } };
  const { clientSecret, ...config } = input;
  try {
    await discover(config.issuer, providerFetch(env));
  } catch (error) {
    const message = faultOfProvider(error);
    if (message === null) throw error;
    const errors = [{ pointer: "/issuer", rule: "openid_provider", message }];
    return { ok: false, failure: { code: "unprocessable", message, errors } };
  }
  const sealedSecret = await seal(env.SECRETS_KEYS ?? "", signOnPlace(team.id, config.clientId), clientSecret);
  await queries.putSingleSignOn(authDatabase(env), { ...by, team: team.id, ...config, sealedSecret });
  return { ok: true, value: await readSignInPolicy({ team }, env) };
}

export async function deleteSingleSignOn(team: TeamId, env: AuthEnv, by: By): Promise<Result<null>> {
  if (await queries.deleteSingleSignOn(authDatabase(env), { ...by, team })) return { ok: true, value: null };
  return { ok: false, failure: { code: "not_found", message: "this team has no provider of its own" } };
}
