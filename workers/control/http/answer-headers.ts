// What every answer of the control Worker tells browsers and caches: nothing of it is to be framed, sniffed, kept, or read by another
// site. A route that needs other words has set its own before (pages for people, files that never change). ADR 28.
import type { MiddlewareHandler } from "hono";
import type { ControlContext } from "./context.ts";

const STANDARD: readonly (readonly [name: string, value: string])[] = [
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"],
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
  // A path names a team's things, and a letter's link has its token in the query.
  ["referrer-policy", "no-referrer"],
  ["cross-origin-resource-policy", "same-origin"],
  ["cross-origin-opener-policy", "same-origin"],
  ["permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"],
  ["cache-control", "no-store"],
];
/** A year, of this host alone: apps are below other names, and theirs are not ours to decide. */
const STRICT_TRANSPORT = "max-age=31536000";

export const answerHeaders: MiddlewareHandler<ControlContext> = async (c, next) => {
  await next();
  // A socket's answer has no browser behind it, and its headers cannot be written.
  if (c.res.status === 101) return;
  for (const [name, value] of STANDARD) if (!c.res.headers.has(name)) c.res.headers.set(name, value);
  if (isSecure(c.env.CONTROL_ORIGIN, c.req.url)) c.res.headers.set("strict-transport-security", STRICT_TRANSPORT);
};

/** Behind a proxy of the operator's the request itself comes without TLS. */
const isSecure = (origin: string | undefined, url: string): boolean => (origin ?? url).startsWith("https:");
