// Waiting between tries: full jitter, capped, and never shorter than the other side asked for.

/** Resolves after ms, or at once when the signal is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/**
 * AWS' "full jitter": anything between minMs and what doubling allows, so that those who failed together come back apart.
 * failures counts from 1; retryAfterMs, when given, is obeyed and spread by up to a tenth.
 */
export function backoffMs(failures: number, minMs: number, maxMs: number, retryAfterMs: number | null): number {
  if (retryAfterMs !== null) return retryAfterMs * (1 + Math.random() / 10);
  const ceilingMs = Math.min(maxMs, minMs * 2 ** Math.min(failures, 30));
  return minMs + Math.random() * Math.max(0, ceilingMs - minMs);
}
