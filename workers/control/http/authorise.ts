// Who may ask what: every route of /v1 but the public ones has a caller before it reads anything else.
import type { MiddlewareHandler } from "hono";
import { authenticate } from "../auth/index.ts";
import type { Caller } from "../auth/caller.ts";
import type { ControlContext, ControlRequest } from "./context.ts";
import { fail } from "./problem.ts";
import { limitRequests } from "./rate-limit.ts";
import { unwrap } from "./respond.ts";

const PUBLIC = new Set(["/v1/setup", "/v1/sign-up", "/v1/sign-in", "/v1/sign-out"]);

export const requireCaller: MiddlewareHandler<ControlContext> = async (c, next) => {
  if (!PUBLIC.has(c.req.path)) {
    const caller = unwrap(await authenticate(c.req.raw, c.env));
    limitRequests(c.env, caller.team.id, (work) => c.executionCtx.waitUntil(work));
    c.set("caller", caller);
  }
  await next();
};

/** Nodes are the installation's, not a team's. */
export function requireOperator(c: ControlRequest): Caller {
  const caller = c.get("caller");
  if (!caller.operator) fail("forbidden", "Only an operator of this installation may do this.");
  return caller;
}

const RECHECK_MS = 4_000;

/**
 * For answers that last: false once the caller's token no longer stands. Asks at most every 4 s, so that a revoked token
 * gets nothing 5 s later (invariant 18); while the database is away, what was true last stands.
 */
export function stillAllowed(c: ControlRequest): () => Promise<boolean> {
  const { raw } = c.req;
  const { env } = c;
  const headers = new Headers(raw.headers);
  const team = c.get("caller").team.id;
  let checkedAtMs = Date.now();
  let allowed = true;
  return async () => {
    const nowMs = Date.now();
    if (!allowed || nowMs - checkedAtMs < RECHECK_MS) return allowed;
    checkedAtMs = nowMs;
    try {
      const result = await authenticate(new Request(raw.url, { headers }), env);
      allowed = result.ok ? result.value.team.id === team : result.failure.code === "database_unavailable";
    } catch {
      // The database is away.
    }
    return allowed;
  };
}
