// Who else may say who somebody is: GitHub and Google where the operator set them up, and a team's own OpenID provider.
import { APIError } from "better-auth/api";
import type { OAuthProvider } from "better-auth/oauth2";
import { fromUuid, toUuid } from "../../../../db/ids.ts";
import { findSingleSignOn, type TeamSignOn } from "../../../../db/queries/sign-in-policies.ts";
import type { TeamId } from "../../../../contracts/ids.ts";
import { open } from "../../secrets/seal.ts";
import type { AuthEnv } from "../caller.ts";
import { authDatabase } from "../databases.ts";
import { ProviderAway, providerFetch } from "./ask-provider.ts";
import { githubProvider } from "./github.ts";
import { openIdProvider, ProviderWrong } from "./openid.ts";

/** Of better-auth's accounts: `sso-<the team's uuid>`; all others are the operator's. */
const SIGN_ON_PREFIX = "sso-";
export const signOnId = (team: TeamId): string => `${SIGN_ON_PREFIX}${toUuid(team, "team")}`;
export const signOnTeamOf = (provider: string): TeamId | null =>
  provider.startsWith(SIGN_ON_PREFIX) ? (fromUuid("team", provider.slice(SIGN_ON_PREFIX.length)) as TeamId) : null;

/** Where a team's client secret is sealed. */
export const signOnPlace = (team: TeamId, clientId: string) => ({ team, scope: "single_sign_on", name: clientId });

export interface OfferedProvider {
  readonly id: "github" | "google";
  readonly name: string;
}

/** For the page: those that the operator has set up. */
export function offeredProviders(env: AuthEnv): readonly OfferedProvider[] {
  return [
    ...(env.GITHUB_CLIENT_ID && env.GITHUB_CLIENT_SECRET ? [{ id: "github", name: "GitHub" } as const] : []),
    ...(env.GOOGLE_CLIENT_ID && env.GOOGLE_CLIENT_SECRET ? [{ id: "google", name: "Google" } as const] : []),
  ];
}

const GOOGLE_ISSUER = "https://accounts.google.com";

/** By its id. Null: there is none of that name here. Throws ProviderAway or ProviderWrong. */
// oxlint-disable-next-line no-explicit-any -- Each provider has a profile of its own, which is nobody else's to read.
export async function providerNamed(id: string, env: AuthEnv): Promise<OAuthProvider<any> | null> {
  const ask = providerFetch(env);
  const { GITHUB_CLIENT_ID, GITHUB_CLIENT_SECRET, GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET } = env;
  if (id === "github" && GITHUB_CLIENT_ID && GITHUB_CLIENT_SECRET) {
    const client = { clientId: GITHUB_CLIENT_ID, clientSecret: GITHUB_CLIENT_SECRET, origin: env.GITHUB_URL ?? null };
    return githubProvider(client, ask);
  }
  if (id === "google" && GOOGLE_CLIENT_ID && GOOGLE_CLIENT_SECRET) {
    const client = { clientId: GOOGLE_CLIENT_ID, clientSecret: GOOGLE_CLIENT_SECRET };
    return openIdProvider({ id, issuer: env.GOOGLE_URL ?? GOOGLE_ISSUER, ...client }, ask);
  }
  const team = /^sso-[0-9a-f-]{36}$/.test(id) ? signOnTeamOf(id) : null;
  const signOn = team === null ? null : await findSingleSignOn(authDatabase(env), { team });
  return signOn === null ? null : teamProvider(signOn, env);
}

async function teamProvider(signOn: TeamSignOn, env: AuthEnv) {
  const { team, issuer, clientId, domains } = signOn;
  const clientSecret = await open(env.SECRETS_KEYS ?? "", signOnPlace(team, clientId), signOn.sealedSecret);
  const provider = await openIdProvider({ id: signOnId(team), issuer, clientId, clientSecret }, providerFetch(env));
  const getUserInfo: typeof provider.getUserInfo = async (tokens) => {
    const found = await provider.getUserInfo(tokens);
    const domain = found?.user.email?.split("@").at(-1)?.toLowerCase() ?? "";
    if (found !== null && domains.length > 0 && !domains.includes(domain))
      throw new APIError("FORBIDDEN", { code: "domain_not_of_team", message: domain });
    return found;
  };
  return { ...provider, getUserInfo };
}

/** What a provider is at fault with, in words for people. Null: it is not the provider. */
export function faultOfProvider(error: unknown): string | null {
  return error instanceof ProviderAway || error instanceof ProviderWrong ? `The provider ${error.message}.` : null;
}
