// The audit of a request: who asked for what, from where, and how it ended. Every write and every denial leaves one line.
import type { TeamId } from "../../../contracts/ids.ts";
import { OPERATOR_RESOURCES } from "../../../contracts/access.ts";
import type { FailureCode } from "../../../contracts/failures.ts";
import { recordAudit, recordAudits, type AuditEntry, type By } from "../../../db/queries/audit.ts";
import type { Caller } from "../auth/caller.ts";
import type { Access } from "./access.ts";
import type { ControlRequest } from "./context.ts";
import { databaseOf } from "./database.ts";
import { failureOf } from "./problem.ts";
import { Together } from "./together.ts";

export interface Deed {
  readonly action: string;
  actor: string;
  /** null: of the installation. */
  readonly team: TeamId | null;
  /** By an operator who entered the team: what they read is told too. */
  readonly entered: boolean;
  subject: string | null;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
  /**
   * The transaction of the deed writes the line of its success itself. query: and the one of there being nothing to do it to; desk: not
   * that one, because what Berth refuses at a desk is undone, its lines too.
   */
  handed: "no" | "query" | "desk";
}

const TEXT_CHARS_MAX = 256;
/** A moment in which Postgres restarts must not lose a line. */
const TRY_AGAIN_MS = 500;

export function beginDeed(c: ControlRequest, access: Access, caller: Caller | null): void {
  const ofInstallation =
    caller === null || (access.kind === "asks" && (OPERATOR_RESOURCES as readonly string[]).includes(access.resource));
  c.set("deed", {
    action: access.deed,
    actor: caller?.actor ?? "anonymous",
    team: ofInstallation ? null : caller.team.id,
    entered: !ofInstallation && caller.entered,
    ...{ subject: null, before: null, after: null, handed: "no" },
  });
}

/** What a route knows of its deed. Never a secret: names of variables, not values. */
export function aboutDeed(
  c: ControlRequest,
  about: Partial<Pick<Deed, "actor" | "subject" | "before" | "after">>,
): void {
  Object.assign(c.get("deed"), about);
}

/** For a query that writes the audit in its own transaction: success is then its to tell. */
export function byOf(c: ControlRequest): By & { readonly actor: string } {
  c.get("deed").handed = "query";
  return { actor: c.get("caller").actor, requestId: c.get("requestId"), ...whence(c) };
}

/** Where a request came from. The edge in front of the Worker sets the address; a client cannot. */
export function whence(c: ControlRequest): { address?: string; userAgent?: string } {
  const address = c.req.header("cf-connecting-ip");
  const userAgent = c.req.header("user-agent");
  return {
    ...(address === undefined ? {} : { address: address.slice(0, TEXT_CHARS_MAX) }),
    ...(userAgent === undefined ? {} : { userAgent: userAgent.slice(0, TEXT_CHARS_MAX) }),
  };
}

/** Refused before anything was meant by them, or for everyone alike: they would bury the rest. */
const UNTOLD: ReadonlySet<FailureCode> = new Set([
  "invalid_request",
  "malformed_json",
  "method_not_allowed",
  "payload_too_large",
  "unsupported_media_type",
  "rate_limited",
  "database_unavailable",
]);
const DENIALS: ReadonlySet<FailureCode> = new Set(["forbidden", "not_found"]);

/** Once the answer is made; costs the request nothing. */
export function endDeed(c: ControlRequest, error: unknown): void {
  const code = error === undefined ? null : failureOf(error).failure.code;
  const deed = c.get("deed");
  if (deed === undefined || !isTold(deed, code, c.req.method)) return;
  const { action, actor, team, subject, before, after } = deed;
  const entry: AuditEntry = {
    ...{ action, actor, team, outcome: code ?? "ok" },
    subject: subject ?? c.req.path.slice("/v1/".length, TEXT_CHARS_MAX),
    requestId: c.get("requestId"),
    ...whence(c),
    ...(before === null || code !== null ? {} : { before }),
    ...(after === null || code !== null ? {} : { after }),
  };
  c.executionCtx.waitUntil(record(c, entry));
}

function isTold(deed: Deed, code: FailureCode | null, method: string): boolean {
  if (code !== null && UNTOLD.has(code)) return false;
  if (method === "GET") return deed.entered || (code !== null && DENIALS.has(code));
  // Its query says for itself that there was nothing to do it to.
  if (deed.handed === "query") return code !== null && code !== "not_found";
  if (deed.handed === "desk") return code !== null;
  return true;
}

const together = new Together<AuditEntry, undefined>();
/** One insertion's worth. */
const LINES_MAX = 50;
const LINE_PATIENCE_MS = 5_000;

/** A line that Postgres cannot take goes to the log, where it is not lost; it holds no secret. */
async function record(c: ControlRequest, entry: AuditEntry): Promise<void> {
  const database = databaseOf(c.env);
  const { team } = entry;
  const ask = async (entries: readonly AuditEntry[]): Promise<undefined[]> => {
    await recordAudits(database, team, entries);
    return entries.map(() => undefined);
  };
  const options = { ask, itemsMax: LINES_MAX, patienceMs: LINE_PATIENCE_MS };
  try {
    await together.take(`${c.env.DATABASE_URL_APP} ${team}`, entry, c.executionCtx, options);
  } catch {
    await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS));
    await recordAudit(database, entry).catch(() => console.error(JSON.stringify({ audit: entry })));
  }
}
