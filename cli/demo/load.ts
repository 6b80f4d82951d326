// An open-loop load generator: requests start on time whatever the answers do, and each is counted once.
import { type Agent, request } from "node:http";
import { FreshAgent } from "./fresh-agent.ts";

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
  const agent = new FreshAgent(256);
  const total = rate * seconds;
  const tally = {
    requests: 0,
    failed: 0,
    byVersion: {} as Record<string, number>,
    failures: {} as Record<string, number>,
  };
  const latenciesMs: number[] = [];
  const bump = (counts: Record<string, number>, key: string): void => void (counts[key] = (counts[key] ?? 0) + 1);

  async function send(): Promise<void> {
    const startedMs = performance.now();
    const answer = await ask({ target, dialled, agent });
    tally.requests += 1;
    latenciesMs.push(performance.now() - startedMs);
    if (answer.failure === null) return bump(tally.byVersion, answer.version);
    tally.failed += 1;
    bump(tally.failures, answer.failure);
  }

  const open: Promise<void>[] = [];
  let stopped = false;
  const done = new Promise<LoadReport>((resolve) => {
    const startedMs = performance.now();
    const timer = setInterval(() => {
      const due = stopped ? 0 : Math.min(total, Math.floor(((performance.now() - startedMs) / 1000) * rate));
      agent.dropIdle();
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

interface Ask {
  readonly target: URL;
  readonly dialled: URL;
  readonly agent: Agent;
}

/** One GET, read to its end. Never rejects: what went wrong is the failure. */
function ask({ target, dialled, agent }: Ask): Promise<{ failure: string | null; version: string }> {
  const { hostname: host, port } = dialled;
  const options = {
    host,
    port,
    agent,
    path: target.pathname,
    headers: { host: target.host },
    timeout: REQUEST_TIMEOUT_MS,
  };
  return new Promise((resolve) => {
    const fail = (failure: string): void => resolve({ failure, version: "" });
    const outgoing = request(options, (answer) => {
      const status = answer.statusCode ?? 0;
      const version = String(answer.headers["x-app-version"] ?? "unknown");
      const failure = status >= 200 && status < 300 ? null : `status ${status}`;
      answer.on("end", () => resolve({ failure, version }));
      answer.on("error", (error) => fail(`broken answer: ${error.message}`));
      answer.resume();
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${REQUEST_TIMEOUT_MS / 1000} s`)));
    outgoing.on("error", (error) => fail(error.message));
    outgoing.end();
  });
}

function percentiles(samples: readonly number[]): { p50Ms: number; p99Ms: number } {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2));
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
