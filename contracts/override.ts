// How a visitor reaches one release of an app, whatever its weight: a signed header, a preview's hostname; and what a sticky cookie holds.
import { z } from "zod";
import { AppId } from "./ids.ts";

/** A JWT (EdDSA, typ `berth-override+jwt`, iss `berth`, aud = app id) with the version; the edge keeps it from the app, as a header and as a cookie. */
export const OVERRIDE_HEADER = "berth-release";
export const OVERRIDE_TYP = "berth-override+jwt";
export const OVERRIDE_ISSUER = "berth";
export const OverrideClaims = z.object({
  iss: z.literal(OVERRIDE_ISSUER),
  aud: AppId,
  ver: z.int().positive(),
  iat: z.int(),
  exp: z.int(),
});

/** Of an app with sticky cookies: a random number of the visitor's own (VISITOR_DIGITS of base 36), from which their release follows by the weights. */
export const STICKY_COOKIE = "__berth_visitor";
export const VISITOR_DIGITS = 7;

/** `/.berth/edge/preview?token=<override>` of a preview's hostname makes the token this cookie of that hostname, and leads to `/`. */
export const PREVIEW_PATH = "/.berth/edge/preview";
export const PREVIEW_COOKIE = "__berth_preview";

/** `v7--shop.example.com`: version 7 of the app at shop.example.com. Apps may not be named so. */
const PREVIEW = /^v([1-9]\d{0,8})--(.+)$/;
export const previewHost = (version: number, hostname: string): string => `v${version}--${hostname}`;
/** url: the app's own origin. */
export function linkOf(url: string, version: number, token: string): string {
  const link = new URL(PREVIEW_PATH, url);
  link.hostname = previewHost(version, link.hostname);
  link.searchParams.set("token", token);
  return link.href;
}
/** The version and the app's own hostname, or null for a hostname that is no preview's. */
export function parsePreview(hostname: string): { readonly version: number; readonly hostname: string } | null {
  const found = PREVIEW.exec(hostname);
  return found ? { version: Number(found[1]), hostname: found[2] as string } : null;
}

/** POST /v1/apps/{app}/traffic/override. */
export const OverrideCreate = z.strictObject({
  version: z.int().positive(),
  ttlMs: z.int().min(1_000).max(86_400_000).default(3_600_000),
});
/** header and value: to send under any of the app's hostnames. link: for a browser, which then stays at this release under its preview's hostname. */
export const Override = z.object({
  header: z.literal(OVERRIDE_HEADER),
  value: z.string(),
  link: z.string(),
  expiresAtMs: z.int(),
});
