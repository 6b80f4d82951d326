// Bearers: what a client shows. A session's is the stored token and a signature over it, so that neither a row of Postgres nor a
// guess opens anything, and a forged one is refused before Postgres is asked. An API token's is random, and stored as its hash.

import { sessionSecrets } from "../keys/session-secrets.ts";
import { sha256Hex } from "../sha256.ts";

const SESSION_PREFIX = "berth_session_";
const API_TOKEN_PREFIX = "berth_";
/** Of an API token: enough to tell tokens apart, too little to guess the rest. */
const SHOWN_CHARACTERS = API_TOKEN_PREFIX.length + 6;

export type Bearer =
  { readonly kind: "session"; readonly token: string } | { readonly kind: "api_token"; readonly hash: string };

/** The bearer of a request, checked as far as that goes without Postgres; null where there is none or it cannot be genuine. */
export async function readBearer(request: Pick<Request, "headers">, secret: string): Promise<Bearer | null> {
  const header = request.headers.get("authorization") ?? "";
  const shown = /^Bearer ([A-Za-z0-9._-]{16,512})$/i.exec(header)?.[1];
  if (shown === undefined || !shown.startsWith(API_TOKEN_PREFIX)) return null;
  if (!shown.startsWith(SESSION_PREFIX)) return { kind: "api_token", hash: await sha256Hex(shown) };
  const [token, signature] = shown.slice(SESSION_PREFIX.length).split(".");
  if (!token || !signature) return null;
  for (const one of sessionSecrets(secret)) {
    const genuine = await crypto.subtle.verify("HMAC", await signingKey(one), bytesOf(signature), encode(token));
    if (genuine) return { kind: "session", token };
  }
  return null;
}

export async function sessionBearer(token: string, secret: string): Promise<string> {
  const [current] = sessionSecrets(secret);
  const signature = await crypto.subtle.sign("HMAC", await signingKey(current), encode(token));
  return `${SESSION_PREFIX}${token}.${base64url(new Uint8Array(signature))}`;
}

/** token is shown once; hash and prefix are kept. 256 random bits, so that a plain SHA-256 is hash enough. */
export async function mintApiToken(): Promise<{ token: string; hash: string; prefix: string }> {
  const token = `${API_TOKEN_PREFIX}${base64url(crypto.getRandomValues(new Uint8Array(32)))}`;
  return { token, hash: await sha256Hex(token), prefix: token.slice(0, SHOWN_CHARACTERS) };
}

/** What an invitation's link carries, and its hash, which is kept. */
export async function mintInvitation(): Promise<{ token: string; hash: string }> {
  const token = `invite_${base64url(crypto.getRandomValues(new Uint8Array(32)))}`;
  return { token, hash: await sha256Hex(token) };
}

/** Equal or not, in a time that says nothing about where they differ. */
export async function equalSecrets(one: string, other: string): Promise<boolean> {
  const key = await signingKey(String(crypto.getRandomValues(new Uint8Array(32))));
  return crypto.subtle.verify("HMAC", key, await crypto.subtle.sign("HMAC", key, encode(one)), encode(other));
}

function signingKey(secret: string) {
  const use = `berth session bearer\n${secret}`;
  return crypto.subtle.importKey("raw", encode(use), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}

const encode = (text: string) => new TextEncoder().encode(text);

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) =>
      character.charCodeAt(0),
    );
  } catch {
    return new Uint8Array(0);
  }
}
