// GitHub, which speaks OAuth and no OpenID: who somebody is, and which of their addresses it has verified, is asked of its API.
import {
  authorizationCodeRequest,
  createAuthorizationURL,
  getOAuth2Tokens,
  type OAuthProvider,
} from "better-auth/oauth2";
import { z } from "zod";
import { readJson, type ProviderFetch } from "./ask-provider.ts";

export interface GithubClient {
  readonly clientId: string;
  readonly clientSecret: string;
  /** Of an Enterprise Server; null: github.com. */
  readonly origin: string | null;
}

const User = z.looseObject({ id: z.number(), login: z.string(), name: z.string().nullish() });
const Emails = z.array(z.looseObject({ email: z.string(), primary: z.boolean(), verified: z.boolean() }));
type Profile = z.infer<typeof User>;

export function githubProvider(client: GithubClient, ask: ProviderFetch): OAuthProvider<Profile> {
  const web = client.origin ?? "https://github.com";
  const api = client.origin === null ? "https://api.github.com" : `${client.origin}/api/v3`;
  const tokenEndpoint = `${web}/login/oauth/access_token`;
  return {
    id: "github",
    name: "GitHub",
    accountSubject: ({ profile }) => profile.id,
    createAuthorizationURL: ({ state, codeVerifier, redirectURI }) =>
      createAuthorizationURL({
        ...{ id: "github", options: client, authorizationEndpoint: `${web}/login/oauth/authorize` },
        ...{ state, codeVerifier, redirectURI, scopes: ["read:user", "user:email"] },
      }),
    async validateAuthorizationCode({ code, codeVerifier, redirectURI }) {
      const { body, headers } = await authorizationCodeRequest({
        ...{ code, redirectURI, options: client, tokenEndpoint, authentication: "post" },
        ...(codeVerifier === undefined ? {} : { codeVerifier }),
      });
      const answer = await ask(tokenEndpoint, { method: "POST", body: body.toString(), headers });
      // It says what was wrong with a code with status 200.
      const told = await readJson(z.looseObject({ access_token: z.string().optional() }), answer);
      return told.access_token === undefined ? null : getOAuth2Tokens(told);
    },
    async getUserInfo({ accessToken }) {
      const headers = {
        authorization: `Bearer ${accessToken ?? ""}`,
        ...{ accept: "application/vnd.github+json", "user-agent": "Berth" },
      };
      const user = await readJson(User, await ask(`${api}/user`, { headers }));
      const emails = await readJson(Emails, await ask(`${api}/user/emails`, { headers }));
      const primary = emails.find((each) => each.primary);
      return {
        user: {
          ...(primary === undefined ? {} : { email: primary.email }),
          name: user.name ?? user.login,
          emailVerified: primary?.verified ?? false,
        },
        data: user,
      };
    },
  };
}
