// Waiting for answers over HTTP: one client that asks again and again, and says when which answer came.
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { readAnswer, type Answer } from "./image.ts";

export interface Target {
  readonly host: string;
  readonly port: number;
  /** Host header. */
  readonly hostname?: string;
}

/** One GET /. null: no answer of the app (refused, an error page). */
export function ask({ host, port, hostname }: Target, agent: Agent | false, timeoutMs = 1_000): Promise<Answer | null> {
  return new Promise((resolve) => {
    const headers = hostname === undefined ? {} : { host: hostname };
    const asked = request({ host, port, path: "/", agent, headers, timeout: timeoutMs }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (part: string) => (body += part));
      answer.on("end", () => resolve(answer.statusCode === 200 ? readAnswer(body) : null));
      answer.on("error", () => resolve(null));
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => resolve(null));
    asked.end();
  });
}

const STEP_MS = 2;

export interface Watch {
  readonly target: Target;
  /** Between an answer and the next question of each client; asked in small steps, so that it may become shorter meanwhile. */
  readonly pauseMs: () => number;
  /** Clients side by side. */
  readonly clients?: number;
  readonly withinMs: number;
  /** Called with each answer (null: none of the app) until it says that it has seen enough. */
  readonly enough: (answer: Answer | null, atMs: number) => boolean;
}

/** Resolves with the moment (performance.now) at which it had seen enough. */
export async function watch({ target, pauseMs, clients = 1, withinMs, enough }: Watch): Promise<number> {
  const deadlineMs = performance.now() + withinMs;
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  let seenAtMs: number | null = null;
  const client = async (): Promise<void> => {
    while (seenAtMs === null) {
      const answer = await ask(target, agent);
      const atMs = performance.now();
      if (seenAtMs === null && enough(answer, atMs)) seenAtMs = atMs;
      if (seenAtMs !== null) return;
      if (atMs > deadlineMs) throw new Error(`not the answers that were waited for within ${withinMs / 1_000} s`);
      do await sleep(STEP_MS);
      while (seenAtMs === null && performance.now() - atMs < pauseMs());
    }
  };
  try {
    await Promise.all(Array.from({ length: clients }, client));
  } finally {
    agent.destroy();
  }
  return seenAtMs ?? performance.now();
}

/**
 * The agent's readiness rule: asked at once, then after 10 ms, growing by half up to 2 s. Resolves with the moment of the first answer.
 */
export async function untilReady(
  target: Target,
  probe: { readonly firstMs: number; readonly withinMs: number },
): Promise<number> {
  const deadlineMs = performance.now() + probe.withinMs;
  for (let waitMs = probe.firstMs; ; waitMs = Math.min(2_000, waitMs * 1.5)) {
    const answer = await ask(target, false);
    const atMs = performance.now();
    if (answer !== null) return atMs;
    if (atMs > deadlineMs) throw new Error(`no answer of ${target.host} within ${probe.withinMs / 1_000} s`);
    await sleep(waitMs);
  }
}
