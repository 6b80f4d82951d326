// Problem details (RFC 9457): the one place where a failure becomes an HTTP status, and where an exception becomes a failure.
import { HTTPException } from "hono/http-exception";
import type { Failure, FailureCode, FieldError, Problem } from "../../../contracts/failures.ts";
import { assertNever } from "../../../core/step.ts";

/** A refusal on its way to the error handler. Expected: it is not logged as a fault. */
export class ApiFailure extends Error {
  readonly failure: Failure;
  readonly headers: Record<string, string>;
  constructor(failure: Failure, headers: Record<string, string> = {}) {
    super(failure.message);
    this.name = "ApiFailure";
    this.failure = failure;
    this.headers = headers;
  }
}

export function fail(code: FailureCode, message: string, more: Omit<Failure, "code" | "message"> = {}): never {
  throw new ApiFailure({ code, message, ...more });
}

/** A fault in one place of the request: `pointer` is a JSON pointer, `query:…`, `header:…` or `path:…`. */
export function failField(code: FailureCode, error: FieldError): never {
  throw new ApiFailure({ code, message: `${error.pointer}: ${error.message}`, errors: [error] });
}

export type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 409 | 410 | 412 | 413 | 415 | 422 | 429 | 500 | 503;

export function statusOf(code: FailureCode): ProblemStatus {
  switch (code) {
    case "invalid_request":
    case "malformed_json":
    case "protocol_unsupported":
      return 400;
    case "unauthenticated":
    case "second_factor_required":
    case "join_token_unknown":
    case "credential_invalid":
    case "credential_expired":
    case "proof_invalid":
    case "proof_replayed":
      return 401;
    case "forbidden":
    case "node_revoked":
      return 403;
    case "not_found":
      return 404;
    case "method_not_allowed":
      return 405;
    case "conflict":
    case "name_taken":
    case "no_capacity":
    case "quota_exceeded":
    case "rollout_not_active":
    case "nothing_to_roll_back":
    case "no_release":
    case "join_token_used":
      return 409;
    case "gone":
    case "join_token_expired":
      return 410;
    case "precondition_failed":
      return 412;
    case "payload_too_large":
      return 413;
    case "unsupported_media_type":
      return 415;
    case "unprocessable":
    case "image_refused":
    case "idempotency_key_reused":
      return 422;
    case "rate_limited":
      return 429;
    case "internal":
      return 500;
    case "database_unavailable":
    case "dns_unavailable":
    case "scanner_unavailable":
    case "overloaded":
      return 503;
    default:
      return assertNever(code);
  }
}

export function problemResponse(failure: Failure, requestId: string, headers: Record<string, string> = {}): Response {
  const status = statusOf(failure.code);
  const problem: Problem = {
    type: `urn:berth:problem:${failure.code}`,
    title: failure.code.replaceAll("_", " "),
    status,
    detail: failure.message,
    code: failure.code,
    ...(failure.errors === undefined ? {} : { errors: [...failure.errors] }),
    ...(failure.refusal === undefined ? {} : { refusal: failure.refusal }),
    ...(failure.quota === undefined ? {} : { quota: failure.quota }),
    requestId,
  };
  const answer = new Headers({ "content-type": "application/problem+json", "x-request-id": requestId, ...headers });
  const retryAfterMs = failure.retryAfterMs ?? (status === 503 ? RETRY_AFTER_MS : undefined);
  if (retryAfterMs !== undefined) answer.set("retry-after", String(Math.max(1, Math.ceil(retryAfterMs / 1_000))));
  if (status === 401) answer.set("www-authenticate", "Bearer");
  return new Response(JSON.stringify(problem), { status, headers: answer });
}

/** The one answer to whatever was thrown; what is our fault is logged with the id that the answer names. */
export function answerError(error: unknown, requestId: string | null): Response {
  const { failure, headers, fault } = failureOf(error);
  const id = requestId ?? crypto.randomUUID();
  if (fault) {
    const { name, message } = error instanceof Error ? error : { name: "unknown", message: String(error) };
    console.error(JSON.stringify({ requestId: id, code: failure.code, error: name, message: firstLine(message) }));
  }
  return problemResponse(failure, id, headers);
}

/** A query's parameters and a parser's excerpts stay out of the log: the first line says what failed. */
const firstLine = (message: string): string => (message.split("\n")[0] ?? "").slice(0, LOGGED_CHARS_MAX);
const LOGGED_CHARS_MAX = 300;

/** Long enough for a restart of Postgres or a reset of an object, short enough for a person at a terminal. */
const RETRY_AFTER_MS = 2_000;

/** What an exception says to the outside; `fault` is true where it is ours and belongs in the log. Nothing of its text gets out. */
export function failureOf(error: unknown): { failure: Failure; headers: Record<string, string>; fault: boolean } {
  if (error instanceof ApiFailure) return { failure: error.failure, headers: error.headers, fault: false };
  if (error instanceof HTTPException)
    return { failure: ofHttpException(error), headers: {}, fault: error.status >= 500 };
  if (isSessionGone(error)) {
    const message = "This session ended while the request was under way: sign in again.";
    return { failure: { code: "unauthenticated", message }, headers: {}, fault: false };
  }
  if (isDatabaseAway(error)) {
    return {
      failure: { code: "database_unavailable", message: "The database cannot be reached; try again shortly." },
      headers: {},
      fault: true,
    };
  }
  if (isObjectBusy(error)) {
    return {
      failure: { code: "overloaded", message: "This part is busy; try again shortly." },
      headers: {},
      fault: true,
    };
  }
  return {
    failure: { code: "internal", message: "Something failed on our side. The request id finds it in the log." },
    headers: {},
    fault: true,
  };
}

/** better-auth's word where the session that was just seen is not there any more: another request ended it. */
const isSessionGone = (error: unknown): boolean =>
  error instanceof Error && error.name === "APIError" && (error as { statusCode?: unknown }).statusCode === 401;

function ofHttpException(error: HTTPException): Failure {
  switch (error.status) {
    case 400:
      return { code: "malformed_json", message: "The body is not valid JSON.", errors: [BODY_NOT_JSON] };
    case 413:
      return { code: "payload_too_large", message: "The body is larger than this endpoint accepts." };
    case 415:
      return {
        code: "unsupported_media_type",
        message: "The body's content-type is not one that this endpoint reads.",
        errors: [{ pointer: "header:content-type", rule: "media_type", message: "must be what the endpoint declares" }],
      };
    default:
      return { code: "internal", message: "Something failed on our side. The request id finds it in the log." };
  }
}

const BODY_NOT_JSON: FieldError = { pointer: "", rule: "json", message: "must be valid JSON" };

/** The Neon driver and Postgres name a lost or refused connection in these ways; db/ wraps them under `cause`. */
function isDatabaseAway(error: unknown): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const code = (at as { code?: unknown }).code;
    if (at.name === "DatabaseUnavailable" || at.name === "DatabaseUnavailableError") return true;
    if (
      typeof code === "string" &&
      /^(08...|57P0[123]|53300|ECONNREFUSED|ECONNRESET|ETIMEDOUT|database_unavailable)$/.test(code)
    ) {
      return true;
    }
    if (at.name === "NeonDbError" && /connect|fetch failed|network/i.test(at.message)) return true;
  }
  return false;
}

/** Durable Objects mark their infrastructure's errors with these properties. */
function isObjectBusy(error: unknown): boolean {
  const marked = error as { overloaded?: unknown; retryable?: unknown; durableObjectReset?: unknown } | null;
  return marked?.overloaded === true || marked?.retryable === true || marked?.durableObjectReset === true;
}
