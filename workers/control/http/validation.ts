// From zod's issues to field errors: which place of the request broke which rule. The value itself is never repeated.
import type { z } from "zod";
import type { FieldError } from "../../../contracts/failures.ts";
import { ApiFailure } from "./problem.ts";

type Issue = z.core.$ZodIssue;
export type RequestPart = "json" | "query" | "param" | "header";

/** More than these help nobody, and an answer should stay far smaller than the body that caused it. */
const FIELD_ERRORS_MAX = 20;
/** Keys come from the caller; one that is a megabyte long is cut. */
const POINTER_SEGMENT_LENGTH_MAX = 128;

/** The one hook of every validated route. */
export function onInvalid(result: { success: boolean; data?: unknown; error?: unknown; target: string }): undefined {
  if (result.success) return refuseUnstorable(result.data, result.target as RequestPart);
  const issues = (result.error as { issues: readonly Issue[] }).issues;
  throw invalid(issues, result.target as RequestPart);
}

/**
 * JSON and percent-encoding can carry text that is none: NUL, which Postgres keeps in no text, and halves of surrogate pairs, which have no
 * UTF-8. Refused here for every field, whatever its own rules; without recursion, as the depth is the sender's.
 */
function refuseUnstorable(data: unknown, part: RequestPart): undefined {
  const waiting: { readonly value: unknown; readonly at: readonly string[] }[] = [{ value: data, at: [] }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, at } = next;
    if (typeof value === "string") refuseText(value, at, part);
    if (typeof value !== "object" || value === null) continue;
    for (const [key, inner] of Object.entries(value)) {
      refuseText(key, [...at, key], part);
      waiting.push({ value: inner, at: [...at, key] });
    }
  }
}

function refuseText(text: string, at: readonly string[], part: RequestPart): void {
  if (!text.includes("\0") && text.isWellFormed()) return;
  const error = { pointer: pointer(at, part).toWellFormed(), rule: "text", message: TEXT_RULE };
  throw new ApiFailure({ code: "invalid_request", message: `${error.pointer}: ${error.message}`, errors: [error] });
}
const TEXT_RULE = "must be text without NUL characters and halves of surrogate pairs";

export function invalid(issues: readonly Issue[], part: RequestPart): ApiFailure {
  const errors = fieldErrors(issues, part);
  const first = errors[0];
  const message =
    first === undefined ? "The request is not valid." : `${first.pointer || "The body"}: ${first.message}`;
  return new ApiFailure({ code: "invalid_request", message, errors });
}

/** Parses a value outside of a declared route (agent endpoints); the same errors. */
export function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalid(result.error.issues, "json");
}

export function fieldErrors(issues: readonly Issue[], part: RequestPart): FieldError[] {
  const errors: FieldError[] = [];
  for (const issue of issues) {
    for (const error of ofIssue(issue, part)) {
      if (errors.length < FIELD_ERRORS_MAX) errors.push(error);
    }
  }
  return errors;
}

function ofIssue(issue: Issue, part: RequestPart, above: readonly PropertyKey[] = []): FieldError[] {
  const path = [...above, ...issue.path];
  const at = pointer(path, part);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({
        pointer: pointer([...path, key], part),
        rule: "unknown_field",
        message: "is not a field of this request",
      }));
    case "invalid_union": {
      const nearest = [...issue.errors].sort((a, b) => a.length - b.length)[0];
      if (nearest === undefined || nearest.length === 0)
        return [{ pointer: at, rule: "one_of", message: issue.message }];
      return nearest.flatMap((inner) => ofIssue(inner, part, path));
    }
    case "invalid_key":
      return issue.issues.map((inner) => ({ pointer: at, rule: rule(inner), message: inner.message }));
    default:
      return [{ pointer: at, rule: rule(issue), message: issue.message }];
  }
}

/** A rule's stable name, with its bound where it has one: `type:string`, `min:1`, `max:65535`, `format:email`. */
function rule(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return `type:${issue.expected}`;
    case "too_small":
      return `min:${issue.minimum}`;
    case "too_big":
      return `max:${issue.maximum}`;
    case "invalid_format":
      return `format:${issue.format}`;
    case "not_multiple_of":
      return `multiple_of:${issue.divisor}`;
    case "invalid_value":
    case "invalid_union":
      return "one_of";
    case "unrecognized_keys":
      return "unknown_field";
    case "invalid_key":
      return "key";
    case "invalid_element":
      return "element";
    default:
      return "custom";
  }
}

function pointer(path: readonly PropertyKey[], part: RequestPart): string {
  const segments = path.map((segment) => {
    const text = String(segment);
    return text.length > POINTER_SEGMENT_LENGTH_MAX ? `${text.slice(0, POINTER_SEGMENT_LENGTH_MAX)}…` : text;
  });
  switch (part) {
    case "json":
      return segments.map((segment) => `/${segment.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
    case "query":
      return `query:${segments.join(".")}`;
    case "param":
      return `path:${segments.join(".")}`;
    case "header":
      return `header:${segments.join(".")}`;
  }
}
