// Which release a visitor is to have, as the edge has it: the one that they ask for by name, theirs by cookie or header, or wherever the
// weights fall.
import { STICKY_COOKIE, VISITOR_DIGITS } from "../../contracts/override.ts";
import type { Route } from "../../contracts/route.ts";
import { nextSpot, spotOf } from "../../core/routing/spots.ts";
import { headerIn } from "./visitor.ts";

/** only: the version asked for by name. cookie: for the answer, of a visitor who had none. */
export interface Taste {
  readonly only: number | null;
  readonly visitor: number | null;
  readonly spot: number;
  readonly cookie: string | null;
}

const APPS_MAX = 20_000;
const VISITOR = new RegExp(`(?:^|;)\\s*${STICKY_COOKIE}=([0-9a-z]{${VISITOR_DIGITS}})\\s*(?:;|$)`);
const SHARED = /\b(?:public|s-maxage)\b/i;

export class Tastes {
  readonly #spots = new Map<string, number>();

  /** lines: the request's. only: the version that a verified override names. */
  of({ app, state }: Route, lines: string, secure: boolean, only: number | null): Taste {
    if (only !== null) return { only, visitor: null, spot: 0, cookie: null };
    const sticky = state.kind === "serving" ? state.sticky : undefined;
    if (sticky === undefined) return this.#anybody(app);
    if (sticky.kind === "header") {
      const value = headerIn(lines, sticky.name.toLowerCase());
      return value === null ? this.#anybody(app) : { only, visitor: spotOf(value), spot: 0, cookie: null };
    }
    const had = VISITOR.exec(headerIn(lines, "cookie") ?? "")?.[1];
    if (had !== undefined) return { only, visitor: spotOf(had), spot: 0, cookie: null };
    const value = freshVisitor();
    const parts = [`${STICKY_COOKIE}=${value}`, "Path=/", `Max-Age=${Math.round(sticky.ttlMs / 1_000)}`];
    const cookie = [...parts, "HttpOnly", "SameSite=Lax", ...(secure ? ["Secure"] : [])].join("; ");
    return { only, visitor: spotOf(value), spot: 0, cookie };
  }

  #anybody(app: string): Taste {
    const spot = nextSpot(this.#spots.get(app) ?? (Math.random() * 0x1_0000_0000) | 0);
    if (this.#spots.size >= APPS_MAX && !this.#spots.has(app)) this.#spots.clear();
    this.#spots.set(app, spot);
    return { only: null, visitor: null, spot, cookie: null };
  }
}

/** The line that makes a visitor the same again. What any cache may keep is nobody's own: its release would become everybody's. */
export const cookieLine = ({ cookie }: Taste, answerLines: string): string =>
  cookie === null || SHARED.test(headerIn(answerLines, "cache-control") ?? "") ? "" : `set-cookie: ${cookie}\r\n`;

const freshVisitor = (): string =>
  Math.floor(Math.random() * 36 ** VISITOR_DIGITS)
    .toString(36)
    .padStart(VISITOR_DIGITS, "0");
