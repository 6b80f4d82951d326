// Who asks for a release by its name, by whose leave: a signed header, a preview's hostname with or without the cookie of a signed link.
import { decodeProtectedHeader, jwtVerify } from "jose";
import type { AppId } from "../../contracts/ids.ts";
import {
  OVERRIDE_HEADER,
  OVERRIDE_ISSUER,
  OVERRIDE_TYP,
  OverrideClaims,
  PREVIEW_COOKIE,
} from "../../contracts/override.ts";
import type { Route, RouteRelease } from "../../contracts/route.ts";
import { signingRing } from "../keys/signing-ring.ts";
import { cookieOf, dropCookie } from "./cookies.ts";
import type { PageCode } from "./pages.ts";

/** signed: by the control plane, for this app and this version. */
export interface Named {
  readonly version: number;
  readonly signed: boolean;
}

/** preview: the version that the hostname names. */
export const namesRelease = (headers: Headers, preview: number | null): boolean =>
  preview !== null || headers.has(OVERRIDE_HEADER);

/** Takes the cookie of a signed link out of the headers. "invalid": the header is forged, expired or another app's. */
export async function namedBy(
  headers: Headers,
  preview: number | null,
  app: AppId,
  signingKey: string,
  nowMs: number,
): Promise<Named | "invalid" | null> {
  const cookie = preview === null ? null : cookieOf(headers, PREVIEW_COOKIE);
  if (cookie !== null) dropCookie(headers, PREVIEW_COOKIE);
  const token = headers.get(OVERRIDE_HEADER);
  if (token !== null) {
    const override = await overrideOf(token, app, signingKey, nowMs);
    return override === null ? "invalid" : { version: override.version, signed: true };
  }
  if (preview === null) return null;
  const override = cookie === null ? null : await overrideOf(cookie, app, signingKey, nowMs);
  return { version: preview, signed: override?.version === preview };
}

/** What to say to who asks by name alone for a release (null: there is none) that is not open to everybody; null: it is open to them. */
export function closedTo({ signed }: Named, release: RouteRelease | null, { state }: Route): PageCode | null {
  if (signed) return null;
  if (state.kind === "unavailable") return state.reason;
  return release?.preview === "open" ? null : "preview_signed";
}

/**
 * The answer to a signed link: its token as a cookie of the preview's hostname, until it expires, and on to the app itself, so that
 * the token stays out of the app's logs and of what its pages name as their referrer. null: it is not signed for this.
 */
export async function openPreview(
  request: Request,
  at: { readonly preview: number; readonly app: AppId; readonly key: string; readonly nowMs: number },
): Promise<Response | null> {
  const token = new URL(request.url).searchParams.get("token");
  const override = token === null ? null : await overrideOf(token, at.app, at.key, at.nowMs);
  if (override === null || override.version !== at.preview) return null;
  const seconds = Math.floor((override.expiresAtMs - at.nowMs) / 1_000);
  const parts = [`${PREVIEW_COOKIE}=${token}`, "Path=/", `Max-Age=${seconds}`, "HttpOnly", "SameSite=Lax"];
  if (request.url.startsWith("https:")) parts.push("Secure");
  const headers = { location: "/", "cache-control": "no-store", "referrer-policy": "no-referrer" };
  return new Response(null, { status: 303, headers: { ...headers, "set-cookie": parts.join("; ") } });
}

interface Override {
  readonly version: number;
  readonly expiresAtMs: number;
}
const OVERRIDES_MAX = 1_000;
const overrides = new Map<string, Override>();

/** What a token opens at this app; null for one that is forged, expired or another app's. */
async function overrideOf(token: string, app: AppId, signingKey: string, nowMs: number): Promise<Override | null> {
  const cacheKey = `${app} ${token}`;
  const known = overrides.get(cacheKey);
  if (known !== undefined) return nowMs < known.expiresAtMs ? known : null;
  try {
    const { verifying } = await signingRing(signingKey, "TICKET_SIGNING_KEY");
    const key = verifying.get(decodeProtectedHeader(token).kid ?? "");
    if (key === undefined) return null;
    const { payload } = await jwtVerify(token, key, {
      ...{ algorithms: ["EdDSA"], typ: OVERRIDE_TYP, issuer: OVERRIDE_ISSUER, audience: app },
      ...{ requiredClaims: ["exp", "iat", "ver"], currentDate: new Date(nowMs) },
    });
    const { ver, exp } = OverrideClaims.parse(payload);
    const override = { version: ver, expiresAtMs: exp * 1_000 };
    if (overrides.size >= OVERRIDES_MAX) overrides.delete(overrides.keys().next().value as string);
    overrides.set(cacheKey, override);
    return override;
  } catch {
    return null;
  }
}
