// A real OpenID provider on loopback (oidc-provider), and what GitHub answers to its OAuth. Whoever `login_hint` names signs in: `ann@a.test verified`.
import { createHash, generateKeyPairSync, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import Provider, { type Configuration } from "oidc-provider";

export interface OpenIdServer {
  /** POST /tell?away=true: it answers 503 from then on. */
  readonly issuer: string;
  /** Of what stands in for GitHub. */
  readonly githubUrl: string;
  close(): Promise<void>;
}

export const CLIENT = { clientId: "berth", clientSecret: "a secret of at least thirty-two letters" } as const;

export async function startOpenId(): Promise<OpenIdServer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const answer = openIdOf(issuer);
  const github = githubOf();
  let away = false;
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", issuer);
    if (url.pathname === "/tell") {
      away = url.searchParams.get("away") === "true";
      return void response.end();
    }
    if (away) return void response.writeHead(503).end();
    if (url.pathname.startsWith("/github/")) return void github(url, request, response);
    void answer(request, response);
  });
  return {
    issuer,
    githubUrl: `${issuer}/github`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function openIdOf(issuer: string) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = { ...privateKey.export({ format: "jwk" }), alg: "RS256", use: "sig", kid: "1" };
  const configuration: Configuration = {
    clients: [
      {
        ...{ client_id: CLIENT.clientId, client_secret: CLIENT.clientSecret, response_types: ["code"] },
        ...{ redirect_uris: ["https://berth.test/any"], grant_types: ["authorization_code"] },
      },
    ],
    jwks: { keys: [jwk as never] },
    cookies: { keys: ["of these tests"] },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    ttl: { Interaction: 600, Grant: 600, Session: 600, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    async findAccount(_ctx, sub) {
      const [email = "", word] = sub.split(" ");
      const claims = { sub, email, name: "Of the provider", email_verified: word === "verified" };
      return { accountId: sub, claims: () => claims };
    },
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ clientId: CLIENT.clientId, accountId: oidc.session?.accountId ?? "" });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
  };
  const provider = new Provider(issuer, configuration);
  // Each team has an address of its own to come back to.
  provider.Client.prototype.redirectUriAllowed = () => true;
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith("/interaction/")) return next();
    const { params } = await provider.interactionDetails(ctx.req, ctx.res);
    ctx.respond = false;
    const accountId = String(params.login_hint);
    await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId } });
  });
  return provider.callback();
}

/** Its paths, as an Enterprise Server has them. `login` of the address: who signs in. */
function githubOf() {
  const codes = new Map<string, { login: string; challenge: string }>();
  const tokens = new Map<string, string>();
  return async (url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const json = (body: unknown) => response.setHeader("content-type", "application/json").end(JSON.stringify(body));
    const asked = url.searchParams;
    if (url.pathname === "/github/login/oauth/authorize") {
      const code = randomUUID();
      codes.set(code, { login: asked.get("login") ?? "", challenge: asked.get("code_challenge") ?? "" });
      const back = new URL(asked.get("redirect_uri") ?? "");
      back.search = new URLSearchParams({ code, state: asked.get("state") ?? "" }).toString();
      return void response.writeHead(302, { location: back.href }).end();
    }
    if (url.pathname === "/github/login/oauth/access_token") {
      const given = new URLSearchParams((await request.setEncoding("utf8").toArray()).join(""));
      const kept = codes.get(given.get("code") ?? "");
      const proof = createHash("sha256").update(given.get("code_verifier") ?? "").digest("base64url"); // prettier-ignore
      if (given.get("client_secret") !== CLIENT.clientSecret || kept?.challenge !== proof)
        return void json({ error: "bad_verification_code" });
      codes.delete(given.get("code") ?? "");
      const token = randomUUID();
      tokens.set(token, kept.login);
      return void json({ access_token: token, token_type: "bearer", scope: "read:user,user:email" });
    }
    const login = tokens.get(request.headers.authorization?.replace("Bearer ", "") ?? "");
    if (login === undefined) return void response.writeHead(401).end();
    const [email, word] = login.split(" ");
    if (url.pathname.endsWith("/emails"))
      return void json([{ email, primary: true, verified: word === "verified", visibility: null }]);
    json({ id: createHash("sha256").update(login).digest().readUInt32BE(), login, name: null });
  };
}
