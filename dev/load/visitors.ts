// Visitors of an app who keep coming at a steady rate, and what each of them saw: for tests and benchmarks of failures.
import { type Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { FreshAgent } from "../../cli/demo/fresh-agent.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS";
export const METHODS: readonly Method[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

export interface Seen {
  readonly method: Method;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** 0: no answer. */
  readonly status: number;
  /** What the app's answer says of itself ({instance}); null where it says nothing. */
  readonly instance: string | null;
  /** The release that answered, as the app's x-app-version header has it; null where it says nothing. */
  readonly version: string | null;
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
  /** Asked for each request, where it is not always the same. */
  readonly port: number | (() => number);
  readonly hostname: string;
  readonly ratePerS: number;
  /** What the app's answer says of itself, where it is not JSON with x-app-version. */
  readonly read?: (body: string) => { readonly instance: string; readonly version: string } | null;
  /** Every so many requests one is a POST: an edge must not repeat it blindly. 0: none. */
  readonly everyPost?: number;
  /** Instead: these in turn. */
  readonly methods?: readonly Method[];
  readonly timeoutMs?: number;
}

const TICK_MS = 5;
const ERROR_TEXT_MAX = 300;

/** Open loop: requests start on time whatever the answers do. */
export function startVisitors(wanted: VisitorsWanted): Visitors {
  const agent = new FreshAgent(512);
  const seen: Seen[] = [];
  const open = new Set<Promise<void>>();
  const startedMs = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedMs) / 1_000) * wanted.ratePerS);
    agent.dropIdle();
    for (; sent < due; sent += 1) {
      const visit = ask(wanted, agent, methodOf(wanted, sent)).then((one) => {
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

function methodOf({ everyPost = 0, methods }: VisitorsWanted, at: number): Method {
  if (methods !== undefined) return methods[at % methods.length] ?? "GET";
  return everyPost > 0 && at % everyPost === 0 ? "POST" : "GET";
}

const BODIES: ReadonlySet<Method> = new Set(["POST", "PUT", "PATCH"]);

/** Never rejects: what went wrong is in what was seen. */
function ask({ port: to, hostname, timeoutMs = 15_000, read }: VisitorsWanted, agent: Agent, method: Method) {
  const startedAtMs = Date.now();
  const port = typeof to === "number" ? to : to();
  return new Promise<Seen>((resolve) => {
    let version: string | null = null;
    const end = (status: number, instance: string | null, error: string | null): void =>
      resolve({ method, startedAtMs, endedAtMs: Date.now(), status, instance, version, error });
    const hasBody = BODIES.has(method);
    const headers = { host: hostname, ...(hasBody ? { "content-length": "2" } : {}) };
    const outgoing = request({ host: "127.0.0.1", port, path: "/", method, headers, agent, timeout: timeoutMs });
    outgoing.on("response", (answer) => {
      let body = "";
      const said = answer.headers["x-app-version"];
      version = typeof said === "string" ? said : null;
      answer.on("data", (chunk: Buffer) => (body += chunk.toString()));
      answer.on("error", (error) => end(0, null, error.message));
      answer.on("end", () => {
        const { statusCode = 0 } = answer;
        const own = read?.(body) ?? null;
        version ??= own?.version ?? null;
        end(statusCode, own?.instance ?? instanceIn(body), statusCode >= 400 ? body.slice(0, ERROR_TEXT_MAX) : null);
      });
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${timeoutMs / 1_000} s`)));
    outgoing.on("error", (error) => end(0, null, error.message));
    outgoing.end(hasBody ? "{}" : undefined);
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
