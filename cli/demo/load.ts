// An open-loop load generator: requests start on time whatever the answers do, and each is counted once.
import { Agent, request } from "node:http";

export interface LoadOptions {
  /** The app's URL; its host becomes the Host header. */
  readonly url: string;
  /** Where to dial instead, because *.localhost does not resolve everywhere. */
  readonly edgeUrl?: string | undefined;
  readonly rate: number;
  readonly seconds: number;
}

export interface LoadReport {
  readonly requests: number;
  readonly failed: number;
  /** Answers by the `x-app-version` header that the example app sends. */
  readonly byVersion: Readonly<Record<string, number>>;
  readonly failures: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const REQUEST_TIMEOUT_MS = 10_000;
const TICK_MS = 10;

/** Starts at once; `done` resolves when the last answer is in. Anything but a 2xx is a failure. */
export function startLoad({ url, edgeUrl, rate, seconds }: LoadOptions): { done: Promise<LoadReport>; stop(): void } {
  const target = new URL(url);
  const dialled = new URL(edgeUrl ?? url);
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const total = rate * seconds;
  const tally = {
    requests: 0,
    failed: 0,
    byVersion: {} as Record<string, number>,
    failures: {} as Record<string, number>,
  };
  const latenciesMs: number[] = [];
  const bump = (counts: Record<string, number>, key: string): void => void (counts[key] = (counts[key] ?? 0) + 1);

  function send(): Promise<void> {
    const startedMs = performance.now();
    return new Promise((resolve) => {
      const settle = (failure: string | null, version: string | undefined): void => {
        tally.requests += 1;
        latenciesMs.push(performance.now() - startedMs);
        if (failure === null) bump(tally.byVersion, version ?? "unknown");
        else {
          tally.failed += 1;
          bump(tally.failures, failure);
        }
        resolve();
      };
      const outgoing = request(
        {
          host: dialled.hostname,
          port: dialled.port,
          path: target.pathname,
          agent,
          headers: { host: target.host },
          timeout: REQUEST_TIMEOUT_MS,
        },
        (answer) => {
          const status = answer.statusCode ?? 0;
          answer.on("end", () =>
            settle(
              status >= 200 && status < 300 ? null : `status ${status}`,
              answer.headers["x-app-version"] as string | undefined,
            ),
          );
          answer.on("error", (error) => settle(`broken answer: ${error.message}`, undefined));
          answer.resume();
        },
      );
      outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${REQUEST_TIMEOUT_MS / 1000} s`)));
      outgoing.on("error", (error) => settle(error.message, undefined));
      outgoing.end();
    });
  }

  const open: Promise<void>[] = [];
  let stopped = false;
  const done = new Promise<LoadReport>((resolve) => {
    const startedMs = performance.now();
    const timer = setInterval(() => {
      const due = stopped ? 0 : Math.min(total, Math.floor(((performance.now() - startedMs) / 1000) * rate));
      while (open.length < due) open.push(send());
      if (open.length < total && !stopped) return;
      clearInterval(timer);
      void Promise.all(open).then(() => {
        agent.destroy();
        resolve({ ...tally, ...percentiles(latenciesMs) });
      });
    }, TICK_MS);
  });
  return { done, stop: () => void (stopped = true) };
}

function percentiles(samples: readonly number[]): { p50Ms: number; p99Ms: number } {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2));
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
