// The installation's secrets for its backup: wrapped for the recipient that was set up, whoever asks; nobody else reads them.
import { armor, Encrypter } from "age-encryption";
import type { BackupKeys } from "../../../contracts/backup.ts";
import type { ControlEnv } from "../env.ts";
import { givenOf } from "../keys/keyed.ts";

/** What a restored platform must have again: agents, tickets, sealed values, sessions and the operator's restore hang on them. */
const SECRETS = [
  "CREDENTIAL_SIGNING_KEY",
  "TICKET_SIGNING_KEY",
  "SECRETS_KEYS",
  "BETTER_AUTH_SECRET",
  "SETUP_TOKEN",
] as const satisfies readonly (keyof ControlEnv)[];

export async function backupKeys(env: ControlEnv): Promise<BackupKeys> {
  // As the Workers were given them: what rotations made since lies sealed in Postgres, which a backup holds.
  const given = givenOf(env);
  const further = Object.entries(given).filter(([name]) => name.startsWith("SECRETS_KEYS_"));
  const secrets = Object.fromEntries([...SECRETS.map((name) => [name, given[name]]), ...further].filter(isText));
  const fingerprints: Record<string, string> = {};
  for (const [name, value] of Object.entries(secrets)) fingerprints[name] = await fingerprintOf(value);
  if (!env.BACKUP_RECIPIENT) return { wrapped: null, fingerprints };
  const encrypter = new Encrypter();
  encrypter.addRecipient(env.BACKUP_RECIPIENT);
  return { wrapped: armor.encode(await encrypter.encrypt(JSON.stringify(secrets))), fingerprints };
}

const isText = (entry: readonly unknown[]): entry is [string, string] => typeof entry[1] === "string";

/** 64 bits of a hash of at least 128 random bits: tells keys apart, and tells nothing of them. */
async function fingerprintOf(value: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(value)));
  return [...hash.slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
