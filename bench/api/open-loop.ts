// Requests at a mean rate, whatever the answers take: their times are those of many customers who know nothing of each other (Poisson).
// A generator whose connections keep a beat each sends all of them at the same moment instead, and then measures its own queue.
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { randomFrom } from "../../core/random.ts";

export interface Wanted {
  readonly url: string;
  readonly connections: number;
  readonly ratePerS: number;
  readonly seconds: number;
  /** Any of them at each turn. */
  readonly requests: readonly {
    readonly method: string;
    readonly path: string;
    readonly headers: Record<string, string>;
    readonly body?: string;
  }[];
}

/** The same arrivals in every run. */
const SEED = "0".repeat(31) + "1";

/** Of each answer, in milliseconds since its request was due, so that waiting for a free connection counts. Throws for what was refused. */
export async function openLoop({ url, connections, ratePerS, seconds, requests }: Wanted): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const tookMs: number[] = [];
  const open: Promise<void>[] = [];
  const next = randomFrom(SEED);
  const random = (): number => next() / 2 ** 32;
  const begunMs = performance.now();
  let dueMs = 0;
  while (dueMs < seconds * 1_000) {
    const waitMs = dueMs - (performance.now() - begunMs);
    if (waitMs > 0) await sleep(waitMs);
    const at = begunMs + dueMs;
    open.push(
      sent(agent, url, requests[Math.floor(random() * requests.length)]!).then(
        () => void tookMs.push(performance.now() - at),
      ),
    );
    dueMs += (-Math.log(1 - random()) * 1_000) / ratePerS;
  }
  await Promise.all(open);
  agent.destroy();
  return tookMs;
}

function sent(agent: Agent, url: string, { method, path, headers, body }: Wanted["requests"][number]): Promise<void> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const outgoing = request(new URL(path, url), { method, headers: { ...headers, ...length }, agent }, (answer) => {
      answer.resume().on("end", () => {
        const { statusCode = 0 } = answer;
        if (statusCode < 300) resolve();
        else reject(new Error(`${method} ${path}: ${statusCode}`));
      });
      answer.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
