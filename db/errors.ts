// What can go wrong with Postgres, as two facts: it could not be reached (in time), or a constraint said no.
import { DrizzleQueryError } from "drizzle-orm/errors";

/** Postgres did not answer, or not in time. What was asked may or may not have happened; the same request may be tried again. */
export class DatabaseUnavailable extends Error {
  override readonly name = "DatabaseUnavailable";

  constructor(cause: unknown) {
    super(`the database did not answer: ${messageOf(cause)}`, { cause });
  }
}

/** SQLSTATEs that say "not now": connection, too many connections, time-outs, shutting down or starting up. */
const NOT_NOW = /^(08...|53300|57014|57P0[1-5]|55P03|25P0[34])$/;

/** The SQLSTATE at the bottom of an error, or null where Postgres never spoke. */
export function sqlStateOf(error: unknown): string | null {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const { code } = at as { code?: unknown };
    if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code)) return code;
  }
  return null;
}

/** The name of the unique or foreign-key constraint that was violated, or null if the error is something else. */
export function violatedConstraint(error: unknown): string | null {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const { code, constraint } = at as { code?: unknown; constraint?: unknown };
    if ((code === "23505" || code === "23503") && typeof constraint === "string") return constraint;
  }
  return null;
}

/** What `berth_refuse` (migration 0010) was called with, or null if the error is something else. */
export function refusalIn(error: unknown): { readonly reason: string; readonly facts: unknown } | null {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const { code, detail } = at as { code?: unknown; detail?: unknown };
    if (code !== "BR001") continue;
    return { reason: at.message, facts: typeof detail === "string" ? JSON.parse(detail) : null };
  }
  return null;
}

/** Throws DatabaseUnavailable if a statement failed without Postgres having judged it; else the error as it is. */
export function rethrow(error: unknown): never {
  if (error instanceof DatabaseUnavailable) throw error;
  const state = sqlStateOf(error);
  if (state === null ? isFromDriver(error) : NOT_NOW.test(state)) throw new DatabaseUnavailable(error);
  throw error;
}

function isFromDriver(error: unknown): boolean {
  return error instanceof DrizzleQueryError || (error instanceof Error && error.name === "NeonDbError");
}

function messageOf(cause: unknown): string {
  for (let at = cause; at instanceof Error; at = at.cause) if (!(at instanceof DrizzleQueryError)) return at.message;
  return "no reason given";
}
