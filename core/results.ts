// The two ways an expected answer ends.
import type { Failure, FailureCode, Result } from "../contracts/failures.ts";

export const ok = <Value>(value: Value): Result<Value> => ({ ok: true, value });

export function refuse(
  code: FailureCode,
  message: string,
  more: Omit<Failure, "code" | "message"> = {},
): Result<never> {
  return { ok: false, failure: { code, message, ...more } };
}
