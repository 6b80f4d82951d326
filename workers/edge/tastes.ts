// Which release a visitor is to have: the one that they ask for by name, or the one that is theirs by cookie or header.
import { STICKY_COOKIE, VISITOR_DIGITS } from "../../contracts/override.ts";
import type { Route } from "../../contracts/route.ts";
import { nextSpot, spotOf } from "../../core/routing/spots.ts";
import { cookieOf } from "./cookies.ts";

/** only: the version asked for by name. spot: where on the scale of the weights. visitor, setCookie: of who is to stay at one release. */
export interface Taste {
  readonly only: number | null;
  readonly visitor: number | null;
  readonly spot: number;
  readonly setCookie: { readonly value: string; readonly ttlMs: number } | null;
}

const APPS_MAX = 10_000;
const spots = new Map<string, number>();

/** The next spot of an app; the first one is anywhere, so that isolates that live shortly do not all begin with one release. */
function spotAfter(app: string): number {
  const before = spots.get(app) ?? (Math.random() * 0x1_0000_0000) | 0;
  if (spots.size >= APPS_MAX && !spots.has(app)) spots.delete(spots.keys().next().value as string);
  const spot = nextSpot(before);
  spots.set(app, spot);
  return spot;
}

const anybody = (app: string): Taste => ({ only: null, visitor: null, spot: spotAfter(app), setCookie: null });

/** only: the version that a verified override or a preview's hostname names. */
export function tasteOf({ app, state }: Route, headers: Headers, only: number | null): Taste {
  if (only !== null) return { only, visitor: null, spot: 0, setCookie: null };
  const sticky = state.kind === "serving" ? state.sticky : undefined;
  if (sticky === undefined) return anybody(app);
  if (sticky.kind === "header") {
    const value = headers.get(sticky.name);
    return value === null ? anybody(app) : { only, visitor: spotOf(value), spot: 0, setCookie: null };
  }
  const had = cookieOf(headers, STICKY_COOKIE);
  if (had !== null && VISITOR.test(had)) return { only, visitor: spotOf(had), spot: 0, setCookie: null };
  const value = freshVisitor();
  return { only, visitor: spotOf(value), spot: 0, setCookie: { value, ttlMs: sticky.ttlMs } };
}

const VISITOR = new RegExp(`^[0-9a-z]{${VISITOR_DIGITS}}$`);

const freshVisitor = (): string =>
  Math.floor(Math.random() * 36 ** VISITOR_DIGITS)
    .toString(36)
    .padStart(VISITOR_DIGITS, "0");

const SHARED = /\b(?:public|s-maxage)\b/i;

/** The answer with the cookie that makes its visitor the same again; the very same answer where they have it already. */
export function withCookie(response: Response, { setCookie }: Taste, secure: boolean): Response {
  if (setCookie === null || response.webSocket) return response;
  // What any cache may keep is nobody's own: their release would become everybody's.
  if (SHARED.test(response.headers.get("cache-control") ?? "")) return response;
  const headers = new Headers(response.headers);
  const parts = [`${STICKY_COOKIE}=${setCookie.value}`, "Path=/", `Max-Age=${Math.round(setCookie.ttlMs / 1_000)}`];
  headers.append("set-cookie", [...parts, "HttpOnly", "SameSite=Lax", ...(secure ? ["Secure"] : [])].join("; "));
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers, encodeBody: "manual" });
}
