// Visitors of an app who keep coming at a steady rate, and what each of them saw: for tests and benchmarks of failures.
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export interface Seen {
  readonly method: "GET" | "POST";
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** 0: no answer. */
  readonly status: number;
  /** What the app's answer says of itself ({instance}); null where it says nothing. */
  readonly instance: string | null;
  /** What came instead of an answer, or what an answer that is none says. */
  readonly error: string | null;
}

export interface Visitors {
  /** All who have been answered so far, in the order of their answers. */
  readonly seen: readonly Seen[];
  /** No more come; resolves when the last one has been answered. */
  stop(): Promise<readonly Seen[]>;
}

export interface VisitorsWanted {
  readonly port: number;
  readonly hostname: string;
  readonly ratePerS: number;
  /** Every so many requests one is a POST: an edge must not repeat it blindly. 0: none. */
  readonly everyPost?: number;
  readonly timeoutMs?: number;
}

const TICK_MS = 5;
const ERROR_TEXT_MAX = 300;

/** Open loop: requests start on time whatever the answers do. */
export function startVisitors(wanted: VisitorsWanted): Visitors {
  const agent = new Agent({ keepAlive: true, maxSockets: 512 });
  const seen: Seen[] = [];
  const open = new Set<Promise<void>>();
  const startedMs = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedMs) / 1_000) * wanted.ratePerS);
    for (; sent < due; sent += 1) {
      const isPost = wanted.everyPost !== undefined && wanted.everyPost > 0 && sent % wanted.everyPost === 0;
      const visit = ask(wanted, agent, isPost ? "POST" : "GET").then((one) => {
        seen.push(one);
        open.delete(visit);
      });
      open.add(visit);
    }
  }, TICK_MS);
  return {
    seen,
    async stop() {
      clearInterval(timer);
      while (open.size > 0) await Promise.race([Promise.all(open), sleep(50)]);
      agent.destroy();
      return seen;
    },
  };
}

/** Never rejects: what went wrong is in what was seen. */
function ask({ port, hostname, timeoutMs = 15_000 }: VisitorsWanted, agent: Agent, method: "GET" | "POST") {
  const startedAtMs = Date.now();
  return new Promise<Seen>((resolve) => {
    const end = (status: number, instance: string | null, error: string | null): void =>
      resolve({ method, startedAtMs, endedAtMs: Date.now(), status, instance, error });
    const headers = { host: hostname, ...(method === "POST" ? { "content-length": "2" } : {}) };
    const outgoing = request({ host: "127.0.0.1", port, path: "/", method, headers, agent, timeout: timeoutMs });
    outgoing.on("response", (answer) => {
      let body = "";
      answer.on("data", (chunk: Buffer) => (body += chunk.toString()));
      answer.on("error", (error) => end(0, null, error.message));
      answer.on("end", () => {
        const { statusCode = 0 } = answer;
        end(statusCode, instanceIn(body), statusCode >= 400 ? body.slice(0, ERROR_TEXT_MAX) : null);
      });
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${timeoutMs / 1_000} s`)));
    outgoing.on("error", (error) => end(0, null, error.message));
    outgoing.end(method === "POST" ? "{}" : undefined);
  });
}

function instanceIn(body: string): string | null {
  try {
    const { instance } = JSON.parse(body) as { instance?: unknown };
    return typeof instance === "string" ? instance : null;
  } catch {
    return null;
  }
}

export const hasFailed = ({ status }: Seen): boolean => status < 200 || status >= 300;
