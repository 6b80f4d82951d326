// How many requests a customer may make: judged by the RateLimit object, which every request waits for, beside finding out who asks.
import type { MiddlewareHandler } from "hono";
import { readOnce } from "../../read-once.ts";
import { authenticateBearer, TEAM_HEADER } from "../auth/authenticate.ts";
import { readBearer, type Bearer } from "../auth/bearer.ts";
import type { Caller } from "../auth/caller.ts";
import type { ControlEnv } from "../env.ts";
import type { ControlContext, ControlRequest } from "./context.ts";
import { ApiFailure, fail } from "./problem.ts";
import { unwrap } from "./respond.ts";
import { Together } from "./together.ts";

/** A person or a pipeline stays far below; a loop gone wild is stopped within the minute. */
export const API_REQUESTS_PER_MINUTE = 1_000;
/** Of customers that an isolate remembers: who is blocked until when, and which bearer is whose. */
const REMEMBERED_MAX = 10_000;
/** Longer than any object takes that is there at all: a limiter that is away limits nobody. */
const PATIENCE_MS = 2_000;

/** Of the customer's minute, after this request. */
export interface Rate {
  readonly limit: number;
  readonly remaining: number;
  readonly resetAtMs: number;
}
interface Taken extends Rate {
  readonly allowed: boolean;
}

/** null: the object is away. */
const together = new Together<undefined, Taken | null>();
/** A whole minute of a customer may come at once. */
const TOGETHER_MAX = 1_000;
const blockedUntilMs = new Map<string, number>();
const teamOfBearer = new Map<string, string>();

/**
 * The caller, if its team has a request left in this minute. Whose a bearer was the last time is known: its request is counted while
 * Postgres is asked whether the bearer still stands, so that the limit costs no time of its own.
 */
export async function limitedCaller(c: ControlRequest): Promise<Caller> {
  const bearer = await readBearer(c.req.raw, c.env.BETTER_AUTH_SECRET);
  const shown = bearerKey(bearer, c.req.header(TEAM_HEADER) ?? "");
  const supposed = shown === null ? undefined : teamOfBearer.get(shown);
  const early = supposed === undefined ? null : take(c, supposed);
  const caller = unwrap(await authenticateBearer(bearer, c.req.raw, c.env));
  const { id } = caller.team;
  if (supposed !== id && shown !== null) remember(teamOfBearer, shown, id);
  const taken = await (early !== null && supposed === id ? early : take(c, id));
  if (taken === null) return caller;
  c.set("rate", taken);
  if (taken.allowed) return caller;
  const retryAfterMs = Math.max(1, taken.resetAtMs - Date.now());
  const message = `More than ${taken.limit} requests of this team within one minute (UTC).`;
  throw new ApiFailure({ code: "rate_limited", message, retryAfterMs });
}

/** draft-ietf-httpapi-ratelimit-headers-10: the policy, what is left of it, and the seconds until there is all of it again. */
export const tellRate: MiddlewareHandler<ControlContext> = async (c, next) => {
  await next();
  const rate = c.get("rate");
  if (rate === undefined) return;
  const resetSeconds = Math.max(0, Math.ceil((rate.resetAtMs - Date.now()) / 1_000));
  c.res.headers.set("ratelimit-policy", `"minute";q=${rate.limit};w=60`);
  c.res.headers.set("ratelimit", `"minute";r=${rate.remaining};t=${resetSeconds}`);
};

/** Null: the object is away. Whoever was refused stays so until the minute ends: what is used up cannot come back. */
async function take({ env, executionCtx }: ControlRequest, team: string): Promise<Taken | null> {
  const limit = tuned(env, "apiRequestsPerMinute", API_REQUESTS_PER_MINUTE);
  const patienceMs = tuned(env, "limiterPatienceMs", PATIENCE_MS);
  const until = blockedUntilMs.get(team);
  if (until !== undefined) {
    if (until > Date.now()) return { allowed: false, limit, remaining: 0, resetAtMs: until };
    blockedUntilMs.delete(team);
  }
  const ask = async ({ length: cost }: readonly undefined[]): Promise<(Taken | null)[]> => {
    const asked = env.RATE_LIMIT.getByName(`team:${team}`).take({ limitPerMinute: limit, cost });
    const answer = await inTime(asked, patienceMs);
    if (!answer?.ok) return Array.from({ length: cost }, () => null);
    const { granted, remaining, resetAtMs } = answer.value;
    if (granted < cost) remember(blockedUntilMs, team, resetAtMs);
    return Array.from({ length: cost }, (_, at) => {
      const after = Math.max(0, granted - at - 1);
      return { allowed: at < granted, limit, remaining: remaining + after, resetAtMs };
    });
  };
  const options = { ask, itemsMax: TOGETHER_MAX, patienceMs };
  return together.take(`${limit} ${team}`, undefined, executionCtx, options);
}

async function inTime<Value>(work: Promise<Value>, patienceMs = PATIENCE_MS): Promise<Value | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), patienceMs)));
  try {
    return await Promise.race([work.catch(() => null), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Who asks, and for which team. Nothing that would open something is kept: a token's hash, a session's token without its signature. */
function bearerKey(bearer: Bearer | null, team: string): string | null {
  if (bearer === null) return null;
  return `${bearer.kind} ${bearer.kind === "api_token" ? bearer.hash : bearer.token} ${team}`;
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  if (map.size >= REMEMBERED_MAX) map.clear();
  map.set(key, value);
}

/** Guessing passwords must be slow; a class of students behind one address must still get in. */
const SIGN_INS_PER_MINUTE = 60;

/** Whatever else concerns accounts, before it is looked at: by the address that asks and by the account that is asked about. */
export async function limitSignIns(env: ControlEnv, request: Request, account: string): Promise<void> {
  const limitPerMinute = tuned(env, "signInsPerMinute", SIGN_INS_PER_MINUTE);
  const address = request.headers.get("cf-connecting-ip") ?? "unknown";
  const names = [`address:${address}`, `account:${account.toLowerCase()}`];
  const answers = await Promise.all(
    names.map((name) => inTime(env.RATE_LIMIT.getByName(name).take({ limitPerMinute, cost: 1 }))),
  );
  for (const answer of answers) {
    if (answer?.ok && answer.value.granted === 0) {
      const retryAfterMs = answer.value.resetAtMs - Date.now();
      fail("rate_limited", "Too many attempts to sign in; wait a minute.", { retryAfterMs });
    }
  }
}

const tuning = readOnce((text) => JSON.parse(text) as Record<string, unknown>);

export function tuned(env: ControlEnv, name: string, standard: number): number {
  if (!env.TUNING) return standard;
  const value = tuning(env.TUNING)[name];
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : standard;
}
