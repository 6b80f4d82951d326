// The gateway's own door for the agent: a unix socket in the agent's folder.
import { join } from "node:path";
import { GATEWAY_SOCKET, GatewayCounters, ReloadAnswer } from "../../endpoint-file.ts";
import type { HandOver } from "../../gateway/hand-over.ts";
import { DoorClient } from "./door-client.ts";

export class GatewaySocket {
  readonly #door: DoorClient;

  constructor(dir: string) {
    this.#door = new DoorClient(join(dir, GATEWAY_SOCKET));
  }

  /** What the gateway knows, once it has read its files since it was asked; null when it does not answer or cannot read them. */
  async reload(): Promise<ReloadAnswer | null> {
    try {
      return ReloadAnswer.parse(await this.#door.ask("POST", "/reload"));
    } catch {
      return null;
    }
  }

  /** Null when no gateway answers. */
  async counters(): Promise<GatewayCounters | null> {
    try {
      return GatewayCounters.parse(await this.#door.ask("GET", "/counters"));
    } catch {
      return null;
    }
  }

  /** Resolves once the next gateway serves; throws with why it does not, and then the present one goes on. */
  async handOver(to: HandOver): Promise<void> {
    await this.#door.handOver(to);
  }

  close(): void {
    this.#door.close();
  }
}
