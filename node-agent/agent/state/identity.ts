// Who this node is: its two key pairs, made here and never leaving, and what the control plane gave it at enrolment.
import { join } from "node:path";
import { type CryptoKey, exportJWK, generateKeyPair, importJWK } from "jose";
import { z } from "zod";
import { RuntimeKind, TicketKey } from "../../../contracts/agent-protocol.ts";
import { CellName, NodeId } from "../../../contracts/ids.ts";
import { readJsonFile, writeDurably } from "./durable-file.ts";

export const IDENTITY_FILE = "identity.json";

const PrivateJwk = z.object({
  kty: z.literal("OKP"),
  crv: z.enum(["Ed25519", "X25519"]),
  x: z.string(),
  d: z.string(),
});

const Enrolled = z.object({
  node: NodeId,
  cell: CellName,
  credential: z.string(),
  ticketKeys: z.array(TicketKey),
  /** What this node was enrolled with: an Engine that is away when the agent starts is waited for, never replaced. */
  runtime: z.object({ kind: RuntimeKind, platform: z.string() }).optional(),
});
export type Enrolled = z.infer<typeof Enrolled>;

/** enrolled: null from the making of the keys until the control plane answered. */
const StoredIdentity = z.object({ sign: PrivateJwk, seal: PrivateJwk, enrolled: Enrolled.nullable() });
type StoredIdentity = z.infer<typeof StoredIdentity>;

export interface Keys {
  readonly signPublicX: string;
  readonly sealPublicX: string;
  readonly signKey: CryptoKey;
  readonly sealKey: CryptoKey;
}

/** The identity in one folder. Every change is on disk before it is used. */
export class Identity {
  readonly keys: Keys;
  readonly #path: string;
  #stored: StoredIdentity;

  private constructor(path: string, stored: StoredIdentity, keys: Keys) {
    this.#path = path;
    this.#stored = stored;
    this.keys = keys;
  }

  /** Makes and stores the keys first, so that an enrolment tried again is tried with the same ones. */
  static async open(dir: string): Promise<Identity> {
    const path = join(dir, IDENTITY_FILE);
    let stored = await readJsonFile(path, StoredIdentity);
    if (stored === null) {
      stored = { sign: await makeKey("Ed25519"), seal: await makeKey("X25519"), enrolled: null };
      await writeDurably(path, JSON.stringify(stored));
    }
    return new Identity(path, stored, await importKeys(stored));
  }

  get enrolled(): Enrolled | null {
    return this.#stored.enrolled;
  }

  async setEnrolled(enrolled: Enrolled): Promise<void> {
    const stored = { ...this.#stored, enrolled };
    await writeDurably(this.#path, JSON.stringify(stored));
    this.#stored = stored;
  }
}

/** The enrolment of a folder without its keys: for `status` and `purge`. */
export async function readEnrolment(dir: string): Promise<Enrolled | null> {
  return (await readJsonFile(join(dir, IDENTITY_FILE), StoredIdentity))?.enrolled ?? null;
}

async function makeKey(crv: "Ed25519" | "X25519"): Promise<z.infer<typeof PrivateJwk>> {
  const pair = await generateKeyPair(crv === "Ed25519" ? "EdDSA" : "ECDH-ES", { crv, extractable: true });
  return PrivateJwk.parse(await exportJWK(pair.privateKey));
}

async function importKeys({ sign, seal }: StoredIdentity): Promise<Keys> {
  return {
    signPublicX: sign.x,
    sealPublicX: seal.x,
    signKey: (await importJWK(sign, "EdDSA")) as CryptoKey,
    sealKey: (await importJWK(seal, "ECDH-ES")) as CryptoKey,
  };
}
