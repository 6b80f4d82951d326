// What every route declares of its answers, and how an RPC's Result becomes one.
import { z } from "@hono/zod-openapi";
import { Problem, type Result } from "../../../contracts/failures.ts";
import { ApiFailure } from "./problem.ts";

/** The value, or the failure on its way to the error handler. */
export function unwrap<Value>(result: Result<Value>): Value {
  if (result.ok) return result.value;
  throw new ApiFailure(result.failure);
}

export const json = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

export const jsonBody = <Schema extends z.ZodType>(schema: Schema) => ({
  body: { required: true, content: { "application/json": { schema } } },
});

const PROBLEMS = {
  400: "A field breaks a rule, or the body is not JSON: `errors[]` names each place and rule.",
  401: "Not signed in: the token is missing, unknown, revoked or expired.",
  403: "Signed in, but this needs a right that the caller does not have.",
  404: "There is no such thing, or it belongs to another team.",
  409: "It does not fit the present state.",
  410: "It was there once: it was used, has ended, or is too old.",
  412: "It has changed since: the ETag in if-match is no longer its ETag.",
  413: "The body is larger than this endpoint accepts.",
  415: "The body's content-type is not read here.",
  422: "Well-formed, but it names something that does not exist or does not match; or the idempotency key was used for another request.",
  429: "Too many requests: `retry-after` says when to come back.",
  503: "A part is away for now: `retry-after` says when to come back.",
} as const;
type ProblemNumber = keyof typeof PROBLEMS;

/** The problems an endpoint may answer with, for the OpenAPI document. Every answer of the kind is application/problem+json. */
export function problems(...statuses: readonly ProblemNumber[]) {
  const content = { "application/problem+json": { schema: Problem } };
  const all = [...new Set([...statuses, 429, 503] as ProblemNumber[])].sort((a, b) => a - b);
  return Object.fromEntries(all.map((status) => [status, { description: PROBLEMS[status], content }]));
}
/** Of an endpoint that reads; of one that writes a body. */
export const READ_PROBLEMS = problems(400, 401, 404);
export const WRITE_PROBLEMS = problems(400, 401, 403, 404, 409, 413, 415, 422);

export const SIGNED_IN = [{ bearer: [] }];

/** The header of every write: the same key and body give the same answer and one effect, for a day. */
export const IdempotencyHeader = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, { message: "must be 1 to 255 visible ASCII characters" })
    .optional()
    .meta({
      description: "The same key with the same body gives the same answer and one effect; with another body, 422.",
    }),
});

export const AppParam = z.object({
  app: z.string().min(1).max(64).meta({ description: "The app's id, or its name in the caller's team." }),
});
export const NodeParam = z.object({
  node: z.string().min(1).max(64).meta({ description: "The node's id or its name." }),
});
