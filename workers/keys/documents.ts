// How keys that were rotated reach the Workers: two documents in KV, one for each, each sealed under what that Worker was given as a secret.
import { base64url, compactDecrypt, CompactEncrypt } from "jose";
import { z } from "zod";
import { readRing } from "./signing-ring.ts";

export const CONTROL_DOCUMENT = "k:control";
export const EDGE_DOCUMENT = "k:edge";
/** KV's least. */
export const DOCUMENT_CACHE_TTL_S = 30;

/** version: of the state of all keys. kek: the version that seals. sealed: ControlKeys. */
export const ControlDocument = z.object({ version: z.string(), kek: z.string(), sealed: z.string() });
export type ControlDocument = z.infer<typeof ControlDocument>;
/** Rings as text. moving: some node is to say which keys it has. */
export const ControlKeys = z.object({
  ticket: z.string().optional(),
  credential: z.string().optional(),
  session: z.string().optional(),
  backup: z.string().optional(),
  moving: z.boolean(),
});
export type ControlKeys = z.infer<typeof ControlKeys>;

export const EdgeDocument = z.object({ version: z.string(), sealed: z.string() });

const JWE = { alg: "dir", enc: "A256GCM" } as const;

/** first: the ticket key that both Workers were given; whoever has it may have those that came after it. */
export async function sealForEdge(first: string, ticketRing: string): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(ticketRing)).setProtectedHeader(JWE).encrypt(await edgeKey(first));
}

export async function openAtEdge(first: string, sealed: string): Promise<string> {
  const { plaintext } = await compactDecrypt(sealed, await edgeKey(first), {
    keyManagementAlgorithms: [JWE.alg],
    contentEncryptionAlgorithms: [JWE.enc],
  });
  return new TextDecoder().decode(plaintext);
}

async function edgeKey(first: string): Promise<Uint8Array> {
  const { current, keys } = readRing(first, "TICKET_SIGNING_KEY");
  const secret = keys.find(({ kid }) => kid === current)?.d;
  if (typeof secret !== "string") throw new Error("TICKET_SIGNING_KEY has no private half");
  const raw = base64url.decode(secret) as Uint8Array<ArrayBuffer>;
  const base = await crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveBits"]);
  const info = new TextEncoder().encode("berth keys for the edge");
  const bits = await crypto.subtle.deriveBits(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info },
    base,
    256,
  );
  return new Uint8Array(bits);
}
