// The control Worker's environment in these tests: the real objects of this workerd, and keys made for the run. No Postgres.
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { exportJWK, generateKeyPair, base64url } from "jose";
import { takeShortWay } from "../../workers/control/agent/short-way.ts";
import { app } from "../../workers/control/app.ts";
import type { ControlEnv } from "../../workers/control/env.ts";

async function privateJwk(kid: string): Promise<string> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return JSON.stringify({ ...(await exportJWK(privateKey)), kid });
}

const randomKey = (): string => base64url.encode(crypto.getRandomValues(new Uint8Array(32)));

/** Its database URLs lead nowhere: a test that comes to ask Postgres sees `database_unavailable`. */
export const controlEnv: ControlEnv = {
  ...(env as unknown as ControlEnv),
  DATABASE_URL_APP: "postgres://berth_app:none@127.0.0.1:9/none",
  DATABASE_URL_AUTH: "postgres://berth_auth:none@127.0.0.1:9/none",
  NEON_ADAPTER: "127.0.0.1:9",
  CREDENTIAL_SIGNING_KEY: await privateJwk("credential-1"),
  TICKET_SIGNING_KEY: await privateJwk("ticket-1"),
  SECRETS_KEYS: JSON.stringify({ current: "1", keys: { "1": randomKey() } }),
  BETTER_AUTH_SECRET: randomKey(),
  SETUP_TOKEN: randomKey(),
  OUTBOUND_ALLOW: "127.0.0.0/8",
};

/** Through the short way or the router, as workers/control/index.ts has it. */
export async function request(path: string, init?: RequestInit): Promise<Response> {
  const context = createExecutionContext();
  const sent = new Request(`https://control.test${path}`, init);
  // As clients do, and without which nothing goes the short way.
  if (typeof init?.body === "string")
    sent.headers.set("content-length", String(new TextEncoder().encode(init.body).byteLength));
  const answer = await (takeShortWay(sent, controlEnv, context) ?? app.fetch(sent, controlEnv, context));
  await waitOnExecutionContext(context);
  return answer;
}
