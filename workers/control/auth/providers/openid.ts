// An OpenID provider as better-auth takes one: found by its issuer, asked through one guarded fetch, its answers verified by better-auth and jose.
import { authorizationCodeRequest, createAuthorizationURL, getOAuth2Tokens, verifyProviderIdToken } from "better-auth/oauth2"; // prettier-ignore
import type { OAuth2Tokens, OAuthProvider } from "better-auth/oauth2";
import { createRemoteJWKSet, customFetch, decodeJwt } from "jose";
import { z } from "zod";
import { readJson, type ProviderFetch } from "./ask-provider.ts";

export interface OpenIdClient {
  /** `google`, `sso-team_…`. */
  readonly id: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

const Discovered = z.object({
  issuer: z.string(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
  userinfo_endpoint: z.url().optional(),
  jwks_uri: z.url(),
  id_token_signing_alg_values_supported: z.array(z.string()).default(["RS256"]),
  token_endpoint_auth_methods_supported: z.array(z.string()).default(["client_secret_basic"]),
});
type Discovered = z.infer<typeof Discovered>;

/** Signatures that need the provider's own key: never `none`, nor a secret that others hold too. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
const SCOPES = ["openid", "email", "profile"];

const Claims = z.looseObject({
  sub: z.string().min(1).max(255),
  email: z.email().max(254).optional(),
  email_verified: z.union([z.boolean(), z.string()]).optional(),
  name: z.string().optional(),
});
type Claims = z.infer<typeof Claims>;

/** Throws ProviderAway where it does not answer, ProviderWrong where what it says cannot be. */
export async function openIdProvider(client: OpenIdClient, ask: ProviderFetch): Promise<OAuthProvider<Claims>> {
  const found = await discover(client.issuer, ask);
  const jwks = createRemoteJWKSet(new URL(found.jwks_uri), {
    [customFetch]: (url: string, init: RequestInit) => ask(url, init),
    timeoutDuration: 10_000,
  });
  const provider: OAuthProvider<Claims> = {
    id: client.id,
    name: client.id,
    issuer: found.issuer,
    requiresIdTokenNonce: true,
    idToken: {
      jwks,
      issuer: found.issuer,
      audience: client.clientId,
      algorithms: found.id_token_signing_alg_values_supported.filter((name) => ALGORITHMS.includes(name)),
      maxTokenAge: "10m",
    },
    accountSubject: ({ profile }) => profile.sub,
    createAuthorizationURL: ({ state, codeVerifier, redirectURI, idTokenNonce, loginHint }) =>
      createAuthorizationURL({
        ...{ id: client.id, options: client, authorizationEndpoint: found.authorization_endpoint, scopes: SCOPES },
        ...{ state, codeVerifier, redirectURI },
        ...(idTokenNonce === undefined ? {} : { nonce: idTokenNonce }),
        ...(loginHint === undefined ? {} : { loginHint }),
      }),
    validateAuthorizationCode: (given) => tokensFor(client, found, ask, given),
    async getUserInfo({ expectedIdTokenNonce, ...tokens }) {
      const { idToken } = tokens;
      if (!idToken || !(await verifyProviderIdToken(provider, idToken, expectedIdTokenNonce))) return null;
      const claims = await withAddress(Claims.parse(decodeJwt(idToken)), found, tokens, ask);
      return { user: userOf(claims), data: claims };
    },
  };
  return provider;
}

/** Its own word for its name is the one that its tokens must bear: so it must be the one that was asked for. */
export async function discover(issuer: string, ask: ProviderFetch): Promise<Discovered> {
  const base = issuer.endsWith("/") ? issuer.slice(0, -1) : issuer;
  const found = await readJson(Discovered, await ask(`${base}/.well-known/openid-configuration`));
  if (found.issuer !== issuer) throw new ProviderWrong(`calls itself ${found.issuer}, not ${issuer}`);
  return found;
}

/** What it says breaks the protocol: in words that go on behind its name. */
export class ProviderWrong extends Error {}

async function tokensFor(
  client: OpenIdClient,
  found: Discovered,
  ask: ProviderFetch,
  given: { readonly code: string; readonly codeVerifier?: string | undefined; readonly redirectURI: string },
): Promise<OAuth2Tokens> {
  const authentication = found.token_endpoint_auth_methods_supported.includes("client_secret_basic") ? "basic" : "post";
  const { body, headers } = await authorizationCodeRequest({
    ...{ code: given.code, redirectURI: given.redirectURI, options: client, authentication },
    ...(given.codeVerifier === undefined ? {} : { codeVerifier: given.codeVerifier }),
    tokenEndpoint: found.token_endpoint,
  });
  const answer = await ask(found.token_endpoint, { method: "POST", body: body.toString(), headers });
  if (answer.status === 400) throw new Error("the code was refused");
  if (answer.status === 401) throw new ProviderWrong("does not know this client, or not by this secret");
  return getOAuth2Tokens(await readJson(z.looseObject({ id_token: z.string() }), answer));
}

/** Some keep the address out of the token: then it is asked for, and must be of the same person. */
async function withAddress(
  claims: Claims,
  found: Discovered,
  tokens: OAuth2Tokens,
  ask: ProviderFetch,
): Promise<Claims> {
  if (claims.email !== undefined || found.userinfo_endpoint === undefined) return claims;
  const headers = { authorization: `Bearer ${tokens.accessToken ?? ""}`, accept: "application/json" };
  const more = await readJson(Claims, await ask(found.userinfo_endpoint, { headers }));
  if (more.sub !== claims.sub) throw new ProviderWrong("speaks of two people at once");
  return { ...more, ...claims };
}

const userOf = ({ email, email_verified: verified, name }: Claims) => ({
  ...(email === undefined ? {} : { email }),
  name: name ?? "",
  emailVerified: verified === true || verified === "true",
});
