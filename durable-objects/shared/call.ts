// Calls from one object to another, or to an entrypoint: bounded in time, tried again only where that is safe and useful.
import { DEFAULT_LIMITS } from "../../core/limits.ts";

const { callTimeoutMs, callTriesMax, callQuickRetryMs, callQuickRetryMaxMs } = DEFAULT_LIMITS;

/** An answer, whatever it says; or none, and then nobody knows whether it took effect. */
export type CallOutcome<Value> =
  { readonly kind: "answered"; readonly value: Value } | { readonly kind: "unanswered"; readonly message: string };

/** `call` must take a fresh stub at every run: a stub is broken for good after an exception. */
export async function callObject<Value>(call: () => Promise<Value>): Promise<CallOutcome<Value>> {
  for (let tries = 1; ; tries += 1) {
    try {
      return { kind: "answered", value: await withTimeout(call()) };
    } catch (error) {
      if (tries >= callTriesMax || !mayRetry(error)) return { kind: "unanswered", message: messageOf(error) };
      await new Promise((resolve) => setTimeout(resolve, pauseMs(tries)));
    }
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The platform marks what may be tried again; an overloaded object is only made worse by it. */
function mayRetry(error: unknown): boolean {
  const { retryable, overloaded } = error as { retryable?: boolean; overloaded?: boolean };
  return retryable === true && overloaded !== true;
}

/** Doubling, capped, and between half and all of it at random, so that many callers do not come back together. */
function pauseMs(tries: number): number {
  return Math.min(callQuickRetryMaxMs, callQuickRetryMs * 2 ** tries) * (0.5 + Math.random() / 2);
}

async function withTimeout<Value>(answer: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${callTimeoutMs} ms`)), callTimeoutMs);
  });
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
