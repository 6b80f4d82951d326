// The gateway's own door for the agent: a unix socket in the agent's folder.
import { Agent, request } from "node:http";
import { join } from "node:path";
import { GATEWAY_SOCKET, GatewayCounters, ReloadAnswer } from "../../endpoint-file.ts";

/** A gateway that does not answer its own host within this time reads the file by itself (it looks at it every second). */
const TIMEOUT_MS = 1_000;

export class GatewaySocket {
  readonly #path: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });

  constructor(dir: string) {
    this.#path = join(dir, GATEWAY_SOCKET);
  }

  /** Whether the gateway has read the endpoint file since it was asked. */
  async reload(): Promise<boolean> {
    try {
      ReloadAnswer.parse(await this.#ask("POST", "/reload"));
      return true;
    } catch {
      return false;
    }
  }

  /** Null when no gateway answers. */
  async counters(): Promise<GatewayCounters | null> {
    try {
      return GatewayCounters.parse(await this.#ask("GET", "/counters"));
    } catch {
      return null;
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #ask(method: "GET" | "POST", path: string, again = true): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#path, method, path, agent: this.#agent, timeout: TIMEOUT_MS });
      asked.on("timeout", () => asked.destroy(new Error("the gateway did not answer")));
      asked.on("error", (error) => {
        // A kept connection to a gateway that was replaced.
        if (asked.reusedSocket && again) this.#ask(method, path, false).then(resolve, reject);
        else reject(error);
      });
      asked.on("response", (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () => {
          if (answer.statusCode !== 200) return reject(new Error(`the gateway answered ${answer.statusCode}`));
          try {
            resolve(JSON.parse(Buffer.concat(chunks).toString("utf8")));
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        });
      });
      asked.end();
    });
  }
}
