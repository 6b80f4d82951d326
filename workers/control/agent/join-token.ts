// A join token: 256 random bits that enrol one node; only its hash is stored.
import { sha256Hex } from "../sha256.ts";
import { base64url } from "jose";

const PREFIX = "berth_join_";

/** hash: SHA-256 in hexadecimal digits; the bits are random, so it needs no salt. */
export async function makeJoinToken(): Promise<{ token: string; hash: string }> {
  const token = PREFIX + base64url.encode(crypto.getRandomValues(new Uint8Array(32)));
  return { token, hash: await sha256Hex(token) };
}
