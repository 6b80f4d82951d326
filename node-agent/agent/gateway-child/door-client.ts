// The agent's side of a door (gateway/door.ts): questions over a unix socket to a process of this node.
import { Agent, request } from "node:http";
import type { HandOver } from "../../gateway/hand-over.ts";

/** One that does not answer its own host within this time has nothing to say. */
const TIMEOUT_MS = 1_000;
/** The next one has 10 s to come up. */
const HAND_OVER_TIMEOUT_MS = 15_000;

export class DoorClient {
  readonly #path: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });

  constructor(path: string) {
    this.#path = path;
  }

  /** Resolves once the next process serves; throws with why it does not, and then the present one goes on. */
  async handOver(to: HandOver): Promise<void> {
    await this.ask("POST", "/hand-over", { body: JSON.stringify(to), timeoutMs: HAND_OVER_TIMEOUT_MS });
  }

  close(): void {
    this.#agent.destroy();
  }

  ask(
    method: "GET" | "POST",
    path: string,
    { body = "", timeoutMs = TIMEOUT_MS, again = true } = {},
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#path, method, path, agent: this.#agent, timeout: timeoutMs });
      asked.on("timeout", () => asked.destroy(new Error("it did not answer")));
      asked.on("error", (error) => {
        // A kept connection to one that was replaced.
        if (asked.reusedSocket && again)
          this.ask(method, path, { body, timeoutMs, again: false }).then(resolve, reject);
        else reject(error);
      });
      asked.on("response", (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          if (answer.statusCode !== 200) {
            return reject(new Error(messageIn(text) ?? `it answered ${answer.statusCode}`));
          }
          try {
            resolve(JSON.parse(text));
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        });
      });
      asked.end(body);
    });
  }
}

const messageIn = (text: string): string | null => {
  try {
    return (JSON.parse(text) as { message?: string }).message ?? null;
  } catch {
    return null;
  }
};
