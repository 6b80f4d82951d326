// The platform's keys: made once, handed to the Workers, printed nowhere.
import { randomBytes } from "node:crypto";
import { exportJWK, generateKeyPair } from "jose";
import { SETUP_TOKEN, TICKET_KEY } from "./plan.ts";

const secret = (bytes: number): string => randomBytes(bytes).toString("base64url");

/** The value for a secret of the Workers that the set-up makes itself, by its name. */
export async function newSecret(name: string): Promise<string> {
  switch (name) {
    case "CREDENTIAL_SIGNING_KEY":
      return signingKey("credential-1");
    case TICKET_KEY:
      return signingKey(`ticket-${secret(4)}`);
    case "SECRETS_KEYS":
      return JSON.stringify({ current: "1", keys: { "1": secret(32) } });
    case "BETTER_AUTH_SECRET":
      return secret(32);
    case SETUP_TOKEN:
    case "MAIL_TOKEN":
      return secret(24);
    default:
      throw new Error(`no secret is made for ${name}`);
  }
}

/** A password of a database role. */
export const newPassword = (): string => secret(24);

async function signingKey(kid: string): Promise<string> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return JSON.stringify({ ...(await exportJWK(privateKey)), kid, alg: "EdDSA", use: "sig" });
}
