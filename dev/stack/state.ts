// What a stack keeps between runs: who it is, its ports, passwords, keys and its operator. Readable by its owner only.
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { z } from "zod";
import { choosePort } from "../ports.ts";
import { isReachableByOthers } from "../postgres-binaries.ts";

const secret = (bytes = 24) => randomBytes(bytes).toString("base64url");

export const StackState = z.object({
  stackId: z.string(),
  ports: z.record(z.string(), z.int()),
  passwords: z.object({ admin: z.string(), owner: z.string(), auth: z.string(), app: z.string() }),
  /** And SECRETS_KEYS_<version>, of rotations. */
  secrets: z
    .object({
      CREDENTIAL_SIGNING_KEY: z.string(),
      TICKET_SIGNING_KEY: z.string(),
      SECRETS_KEYS: z.string().optional(),
      BETTER_AUTH_SECRET: z.string(),
      SETUP_TOKEN: z.string(),
      /** Stacks of earlier versions have none yet. */
      MAIL_TOKEN: z.string().default(() => secret()),
    })
    .catchall(z.string()),
  operator: z.object({
    email: z.string(),
    password: z.string(),
    token: z.string().nullable(),
    team: z.string().nullable(),
  }),
});
export type StackState = z.infer<typeof StackState>;

/** Reads a stack's state, or makes a new one's. */
export async function loadState(stateDir: string): Promise<StackState> {
  const path = join(stateDir, "stack.json");
  if (existsSync(path)) return StackState.parse(JSON.parse(readFileSync(path, "utf8")));
  const state: StackState = {
    stackId: secret(9),
    ports: {},
    passwords: { admin: secret(), owner: secret(), auth: secret(), app: secret() },
    secrets: {
      CREDENTIAL_SIGNING_KEY: await signingKey("credential-1"),
      TICKET_SIGNING_KEY: await signingKey("ticket-1"),
      SECRETS_KEYS: JSON.stringify({ current: "1", keys: { "1": secret(32) } }),
      BETTER_AUTH_SECRET: secret(32),
      SETUP_TOKEN: secret(),
      MAIL_TOKEN: secret(),
    },
    operator: { email: "operator@berth.example", password: secret(12), token: null, team: null },
  };
  saveState(stateDir, state);
  return state;
}

export function saveState(stateDir: string, state: StackState): void {
  writePrivate(join(stateDir, "stack.json"), JSON.stringify(state, null, 2));
}

/** Written whole and renamed, so that a kill leaves the old or the new, and never readable by others. */
export function writePrivate(path: string, text: string): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode: 0o600 });
  chmodSync(temporary, 0o600);
  renameSync(temporary, path);
}

async function signingKey(kid: string): Promise<string> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return JSON.stringify({ ...(await exportJWK(privateKey)), kid, alg: "EdDSA", use: "sig" });
}

/**
 * The ports of last time where they are free; what is new gets its default, or any free one. A gateway's port is for life:
 * the control plane knows the node by it, and the gateway may still be serving on it.
 */
export async function choosePorts(
  known: Readonly<Record<string, number>>,
  wanted: Readonly<Record<string, readonly number[]>>,
): Promise<Record<string, number>> {
  const names = Object.keys(wanted);
  const forLife = names.filter((name) => name.startsWith(GATEWAY_PORT_PREFIX) && known[name] !== undefined);
  const chosen: Record<string, number> = Object.fromEntries(forLife.map((name) => [name, known[name] ?? 0]));
  const taken = new Set(Object.values(chosen));
  for (const name of names) {
    if (chosen[name] !== undefined) continue;
    const before = known[name];
    const defaults = wanted[name] ?? [];
    // The defaults first: a port that was only a way out is given up once the wanted one is free again.
    const port = await choosePort(before === undefined ? defaults : [...defaults, before], taken);
    chosen[name] = port;
    taken.add(port);
  }
  return chosen;
}

export const GATEWAY_PORT_PREFIX = "gateway-";

/** Postgres' home: in the state folder, unless root keeps that where the user `postgres` cannot walk. */
export function postgresHome(stateDir: string, stackId: string): string {
  const inside = join(stateDir, "postgres");
  if (process.getuid?.() !== 0 || isReachableByOthers(stateDir)) return inside;
  return join("/var/lib/berth", stackId, "postgres");
}

export function makeFolders(stateDir: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o755 });
  for (const folder of ["logs", "agents", "plans", "bundles"]) {
    mkdirSync(join(stateDir, folder), { recursive: true, mode: 0o700 });
  }
}
