// What may be sent again, and how far a remembered route is trusted: both as tables.
import { describe, expect, test } from "vitest";
import { GATEWAY_ERRORS, type GatewayError } from "../../../contracts/ticket.ts";
import type { Route } from "../../../contracts/route.ts";
import { appId, teamId } from "../../../bench/shared/gateway-world.ts";
import { freshness, newer, type Freshness } from "../../../core/routing/freshness.ts";
import { ROUTING_LIMITS } from "../../../core/routing/limits.ts";
import { bodyKind, failureOf, mayRetry, type BodyKind, type Failure } from "../../../core/routing/retry.ts";

describe("sending again", () => {
  const table: [Failure, string, BodyKind, boolean][] = [
    ["untouched", "GET", "none", true],
    ["untouched", "POST", "none", true],
    ["untouched", "POST", "buffered", true],
    ["untouched", "POST", "streamed", false],
    ["untouched", "GET", "streamed", false],
    ["ambiguous", "GET", "none", true],
    ["ambiguous", "HEAD", "none", true],
    ["ambiguous", "OPTIONS", "none", true],
    ["ambiguous", "TRACE", "none", true],
    ["ambiguous", "GET", "buffered", false],
    ["ambiguous", "GET", "streamed", false],
    ["ambiguous", "POST", "none", false],
    ["ambiguous", "POST", "buffered", false],
    ["ambiguous", "PUT", "none", false],
    ["ambiguous", "DELETE", "none", false],
    ["ambiguous", "PROPFIND", "none", false],
    ["ambiguous", "get", "none", false],
    ["final", "GET", "none", false],
    ["final", "POST", "buffered", false],
  ];
  test.each(table)("after an %s failure a %s with body %s: %s", (failure, method, body, expected) => {
    expect(mayRetry(failure, method, body)).toBe(expected);
  });

  test("every error of a gateway is classed, and only what may have reached the app is not untouched", () => {
    const classes = Object.fromEntries(GATEWAY_ERRORS.map((code) => [code, failureOf(code)])) as Record<
      GatewayError,
      Failure
    >;
    expect(classes).toEqual({
      ticket_missing: "untouched",
      ticket_invalid: "untouched",
      ticket_expired: "untouched",
      instance_gone: "untouched",
      connect_failed: "untouched",
      too_many_connections: "untouched",
      upstream_reset: "ambiguous",
      upstream_timeout: "final",
      malformed_request: "final",
      body_too_large: "final",
    });
  });

  test("a body is held in memory only when its length is known and within the bound", () => {
    expect(bodyKind(false, null, 10)).toBe("none");
    expect(bodyKind(true, 10, 10)).toBe("buffered");
    expect(bodyKind(true, 11, 10)).toBe("streamed");
    expect(bodyKind(true, null, 10)).toBe("streamed");
    expect(bodyKind(true, Number.NaN, 10)).toBe("streamed");
  });
});

describe("trusting a remembered route", () => {
  const route = (version: number, kind: "serving" | "unavailable"): Route => ({
    app: appId(1),
    team: teamId(1),
    name: "a",
    version,
    state: kind === "serving" ? { kind, releases: [] } : { kind, reason: "starting" },
    atMs: 0,
  });
  const { routeFreshMs, routeUsableMs, recheckMs } = ROUTING_LIMITS;
  const table: [string, Route, number, number, Freshness][] = [
    ["fresh", route(5, "serving"), 5, routeFreshMs - 1, "use"],
    ["a little old", route(5, "serving"), 5, routeFreshMs, "use_and_refresh"],
    ["old", route(5, "serving"), 5, routeUsableMs, "refresh_first"],
    ["a day old", route(5, "serving"), 5, 86_400_000, "refresh_first"],
    ["a day old and known to be", route(5, "serving"), 6, 86_400_000, "ask_first"],
    ["known to be old, asked about just now", route(5, "serving"), 6, recheckMs - 1, "use"],
    ["known to be old", route(5, "serving"), 6, recheckMs, "ask_first"],
    ["without anybody, asked about just now", route(5, "unavailable"), 5, recheckMs - 1, "use"],
    ["without anybody", route(5, "unavailable"), 5, recheckMs, "ask_first"],
  ];
  test.each(table)("%s", (_name, at, namedVersion, ageMs, expected) => {
    expect(freshness({ route: at, checkedAtMs: 1_000, namedVersion }, 1_000 + ageMs, ROUTING_LIMITS)).toBe(expected);
  });

  test("a lower or equal version never replaces a known one", () => {
    const known = route(5, "serving");
    expect(newer(known, route(4, "serving"))).toBe(known);
    expect(newer(known, route(5, "unavailable"))).toBe(known);
    expect(newer(known, route(6, "serving")).version).toBe(6);
    expect(newer(null, known)).toBe(known);
  });
});
