// The same key and body give the same answer and one effect; another body under that key is refused (invariant 13).
import type { Result } from "../../contracts/failures.ts";
import { fingerprintOf } from "../keys.ts";
import { refuse } from "../results.ts";
import type { AppContext } from "./context.ts";
import type { Asked, Granted } from "./types.ts";

/** Only what was accepted is remembered: a refusal had no effect, so asking again may find things changed. */
export function once<Value>(
  ctx: AppContext,
  method: string,
  input: Asked & Granted,
  act: () => Result<Value>,
): Result<Value> {
  const { idempotencyKey: key, requestHash, olderHashes = [], actor: _actor, ...rest } = input;
  const { grant: _grant, digest: _digest, resolved: _resolved, unspent = false, ...body } = rest;
  ctx.actor = input.actor;
  const refused = unspent ? refuse("quota_exceeded", "The team has no quota for it.") : null;
  if (key === null) return refused ?? act();
  const fingerprint = fingerprintOf([method, requestHash ?? body]);
  const known = ctx.draft.get("idempotency", key);
  if (known && known.atMs + ctx.limits.idempotencyTtlMs > ctx.nowMs) {
    const asked = [fingerprint, ...olderHashes.map((hash) => fingerprintOf([method, hash]))];
    if (asked.includes(known.fingerprint)) return known.reply as Result<Value>;
    return refuse("idempotency_key_reused", "This Idempotency-Key was used with another request.");
  }
  const reply = refused ?? act();
  if (reply.ok) {
    forgetOld(ctx);
    ctx.draft.put("idempotency", key, { method, fingerprint, reply, atMs: ctx.nowMs });
  }
  return reply;
}

function forgetOld(ctx: AppContext): void {
  const { idempotencyTtlMs, idempotencyKeysMax } = ctx.limits;
  const kept: [string, number][] = [];
  for (const [key, { atMs }] of ctx.draft.entries("idempotency")) {
    if (atMs + idempotencyTtlMs <= ctx.nowMs) ctx.draft.drop("idempotency", key);
    else kept.push([key, atMs]);
  }
  kept.sort((a, b) => a[1] - b[1]);
  for (const [key] of kept.slice(0, Math.max(0, kept.length - idempotencyKeysMax + 1)))
    ctx.draft.drop("idempotency", key);
}
