// One request of a simulated node over kept connections, as the agent makes it: a time-out of its own, and a stale connection known as such.
import { Agent, request } from "node:http";
import { preciseNow } from "./clock.ts";

/** It went out on a kept connection and was reset. */
export class Stale extends Error {}

export interface Answered {
  readonly status: number;
  readonly text: string;
  readonly retryAfterMs: number | null;
  readonly atMs: number;
}

const connections = new Agent({ keepAlive: true, maxSockets: Infinity });

export function exchange(
  url: URL,
  headers: Record<string, string>,
  body: string,
  timeoutMs: number,
  method: "GET" | "POST" = "POST",
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      asked.destroy(new Error(`no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    const asked = request(url, { method, agent: connections, headers }, (answer) => {
      let text = "";
      const seconds = Number(answer.headers["retry-after"] ?? NaN);
      const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : null;
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text, retryAfterMs, atMs: preciseNow() }));
      answer.on("error", reject);
    });
    asked.on("close", () => clearTimeout(timer));
    asked.on("error", (error) => reject(asked.reusedSocket && !late ? new Stale(error.message) : error));
    asked.end(body);
  });
}
