// Who may ask what: every route of /v1 is judged before it reads anything, and once more where it hangs on the thing itself.
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import type { ProjectId } from "../../../contracts/ids.ts";
import { authorise, isHidden } from "../../../core/authorise/authorise.ts";
import type { Asked, DeniedReason, Verdict } from "../../../core/authorise/types.ts";
import { assertNever } from "../../../core/step.ts";
import { authenticate } from "../auth/index.ts";
import type { Caller } from "../auth/caller.ts";
import type { Access, AccessByRoute } from "./access.ts";
import type { ControlContext, ControlRequest } from "./context.ts";
import { beginDeed, endDeed } from "./deed.ts";
import { fail } from "./problem.ts";
import { limitedCaller } from "./rate-limit.ts";

/** Of the thing that a request is about. */
export interface ThingFacts {
  readonly project?: ProjectId;
  /** Whether the caller made it, or is it. */
  readonly own?: boolean;
}

/** About the caller alone: what somebody needs in order to get the second factor that a team wants. */
const isOwn = (path: string): boolean =>
  path === "/v1/whoami" || path === "/v1/account" || path.startsWith("/v1/account/");
const SECOND_FACTOR_WANTED =
  "This team asks its members for a second factor: `berth account second-factor on`, then sign in with it.";

export function requireAccess(table: AccessByRoute): MiddlewareHandler<ControlContext> {
  return async (c, next) => {
    const access = accessOf(c, table);
    if (access === null) return answeredByNobody(c, next);
    if (access.kind === "public") {
      beginDeed(c, access, null);
      await next();
      return endDeed(c, c.error);
    }
    const caller = await limitedCaller(c);
    if (!isOwn(c.req.path)) requireWayIn(c, caller);
    c.set("caller", caller);
    c.set("access", access);
    beginDeed(c, access, caller);
    try {
      c.set("verdict", requireVerdict(caller, access, {}));
    } catch (error) {
      endDeed(c, error);
      throw error;
    }
    await next();
    requireSettled(c);
    endDeed(c, c.error);
  };
}

/** 404 or 405, which everyone may know; anything else would be a way around the table. */
async function answeredByNobody(c: ControlRequest, next: () => Promise<void>): Promise<void> {
  await next();
  if (c.res.status < 400)
    throw new Error(`${c.req.method} ${c.req.path} was answered without a line in the access table`);
}

/** The first route that matches is the one that answers. Null: there is none, and the answer will be 404 or 405. */
function accessOf(c: ControlRequest, table: AccessByRoute): Access | null {
  const method = c.req.method === "HEAD" ? "GET" : c.req.method;
  const route = matchedRoutes(c).find((matched) => matched.method === method);
  return route === undefined ? null : (table.get(`${method} ${route.path}`) ?? null);
}

/** What the team asks of whoever comes in, before any right. */
function requireWayIn(c: ControlRequest, { lacksSecondFactor, lacksSignOn, subject, team }: Caller): void {
  if (lacksSignOn) {
    const isOwner = subject.role.kind === "built_in" && subject.role.name === "owner";
    const more = isOwner ? " Owners may sign in by themselves, with a second factor." : "";
    const where = `${c.env.CONTROL_ORIGIN ?? ""}/account/sign-on/${team.slug}`;
    fail("forbidden", `This team's members sign in through its own provider: ${where}.${more}`);
  }
  if (lacksSecondFactor) fail("second_factor_required", SECOND_FACTOR_WANTED);
}

function verdictOf({ subject, via, signedOn }: Caller, access: Access, facts: ThingFacts): Verdict {
  switch (access.kind) {
    case "public":
    case "signed_in":
      return { kind: "allowed" };
    case "session":
      return via === "session" && !signedOn ? { kind: "allowed" } : { kind: "denied", reason: { kind: "token_scope" } };
    case "asks":
      if (access.bySession && via !== "session") return { kind: "denied", reason: { kind: "token_scope" } };
      return authorise(subject, { resource: access.resource, action: access.action, ...facts });
    default:
      return assertNever(access);
  }
}

function requireVerdict(caller: Caller, access: Access, facts: ThingFacts): Verdict {
  const verdict = verdictOf(caller, access, facts);
  if (verdict.kind === "denied") fail("forbidden", deniedText(verdict.reason, access, caller));
  return verdict;
}

/** Before a route does anything to the thing it found. `unknown` answers as if it were not there. */
export function requireThing(c: ControlRequest, facts: ThingFacts, unknown: () => never): void {
  const { caller, access } = { caller: c.get("caller"), access: c.get("access") };
  const verdict = verdictOf(caller, access, facts);
  c.set("facts", facts);
  if (verdict.kind === "denied") {
    if (access.kind === "asks" && isHidden(caller.subject, { resource: access.resource, ...facts })) unknown();
    fail("forbidden", deniedText(verdict.reason, access, caller));
  }
  c.set("verdict", verdict);
}

/** For a list: the question, so that the route can look at each row; with it the list counts as judged. */
export function askedOfEach(c: ControlRequest): Omit<Asked, "project" | "own"> {
  const access = c.get("access");
  if (access.kind !== "asks") throw new Error("this route asks for nothing that could differ from row to row");
  c.set("verdict", { kind: "allowed" });
  return { resource: access.resource, action: access.action };
}

/** A route that forgot to look at the thing answers nobody for whom it matters. */
function requireSettled(c: ControlRequest): void {
  if (c.get("verdict").kind !== "depends" || c.error !== undefined) return;
  throw new Error(`${c.req.method} ${c.req.path} did not say which thing it is about`);
}

function deniedText(reason: DeniedReason, access: Access, { entered, team }: Caller): string {
  const right = access.kind === "asks" ? `${access.resource}:${access.action}` : "this";
  switch (reason.kind) {
    case "operators_only":
      return "Only an operator of this installation may do this.";
    case "role":
      if (entered) return notByEntry(reason.role, right, team.slug);
      // An admin has everything but this, and can give it to nobody.
      if (right === "team:delete")
        return `Your role in this team (${reason.role}) does not allow this; it is an owner's.`;
      return `Your role in this team (${reason.role}) does not allow ${right}; an owner or admin can change it.`;
    case "not_own":
      return `Your role in this team (${reason.role}) allows ${right} only for what is your own.`;
    case "project":
      return `Your role in this team does not allow ${right} in this project.`;
    case "limited_to_projects":
      return `You are limited to projects of this team; ${right} is about the team as a whole.`;
    case "token_scope":
      if (access.kind === "session")
        return "Neither an API token nor a session of a team's single sign-on can do this: sign in by yourself.";
      return access.kind === "asks" && access.bySession
        ? "No API token can do this: sign in."
        : `The scopes of this API token do not include ${right}.`;
    default:
      return assertNever(reason);
  }
}

/** What nobody in the team can change: an entry's role is what the operator chose, and a developer's at most. */
function notByEntry(role: string, right: string, team: string): string {
  const said = `You entered this team as ${role}, which does not allow ${right}.`;
  if (role === "developer") return `${said} No entry allows more: an owner of the team has to do it.`;
  return `${said} Leave (berth operators leave ${team}) and enter it with --role developer, if that is enough.`;
}

const RECHECK_MS = 4_000;

/**
 * For answers that last: false once the caller's token no longer stands, or no longer allows this. Asks at most every 4 s, so that
 * whom something was taken from gets nothing 5 s later (invariant 18); while the database is away, what was true last stands.
 */
export function stillAllowed(c: ControlRequest): () => Promise<boolean> {
  const { raw } = c.req;
  const { env } = c;
  const headers = new Headers(raw.headers);
  const team = c.get("caller").team.id;
  const access = c.get("access");
  const facts = c.get("facts") ?? {};
  let checkedAtMs = Date.now();
  let allowed = true;
  return async () => {
    const nowMs = Date.now();
    if (!allowed || nowMs - checkedAtMs < RECHECK_MS) return allowed;
    checkedAtMs = nowMs;
    try {
      const result = await authenticate(new Request(raw.url, { headers }), env);
      allowed = result.ok
        ? result.value.team.id === team &&
          !result.value.lacksSecondFactor &&
          !result.value.lacksSignOn &&
          verdictOf(result.value, access, facts).kind === "allowed"
        : result.failure.code === "database_unavailable";
    } catch {
      // The database is away.
    }
    return allowed;
  };
}
