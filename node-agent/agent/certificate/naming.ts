// The node's name: asked of the control plane at each start, when this host's addresses change, when the gateway begins to serve
// under it, and once a day.
import type { Logger } from "pino";
import { AGENT_PROTOCOL } from "../../../contracts/agent-protocol.ts";
import { ChallengeResponse, NameResponse } from "../../../contracts/node-names.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { type Control, Refused } from "../link/control.ts";
import { monotonicMs } from "../link/control-clock.ts";
import { backoffMs } from "../link/pause.ts";
import type { NameStore } from "./name-store.ts";

export interface NamingPorts {
  readonly control: Control;
  readonly limits: AgentLimits;
  readonly log: Logger;
  readonly store: NameStore;
  readonly gatewayPort: number;
  /** Where this host is reached just now. */
  readonly addresses: () => readonly string[];
}

export class Naming {
  readonly #ports: NamingPorts;
  #told = "";
  #dueAtMs = 0;
  #addressesAtMs = -Infinity;
  #addresses: readonly string[] = [];
  #failures = 0;
  /** Why there is no name yet, in words for an operator. */
  trouble: string | null = null;

  constructor(ports: NamingPorts) {
    this.#ports = ports;
  }

  /** serving: the gateway shows a certificate of the name. True: something is otherwise than before. */
  async look(serving: boolean, signal: AbortSignal): Promise<boolean> {
    const { store, limits } = this.#ports;
    const nowMs = monotonicMs();
    if (nowMs - this.#addressesAtMs >= limits.addressLookMs) {
      this.#addresses = this.#ports.addresses();
      this.#addressesAtMs = nowMs;
    }
    // A host without any keeps its records: an interface that is down is back soon, and nobody else has the address.
    if (this.#addresses.length === 0) return this.#withoutAddress();
    const wish = JSON.stringify([this.#addresses, serving]);
    const isNews = this.#failures === 0 && wish !== this.#told;
    if (!isNews && nowMs < this.#dueAtMs) return false;
    try {
      const answer = await this.#ask(serving, signal);
      const { name, gatewayUrl } = answer;
      await store.put({ name, gatewayUrl, directoryUrl: answer.acme?.directoryUrl ?? null, served: serving });
      this.#told = wish;
      this.#failures = 0;
      this.trouble = null;
      this.#dueAtMs = monotonicMs() + limits.nameRefreshMs * (0.9 + Math.random() / 10);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      await this.#failed(error);
      return true;
    }
  }

  /** Has the TXT record set, or removed. */
  async challenge(value: string | null): Promise<void> {
    const body = { protocol: AGENT_PROTOCOL, value };
    const call = { lane: "ask", method: "POST", path: "/agent/v1/acme-challenge", body } as const;
    await this.#ports.control.call({ ...call, timeoutMs: 30_000 }, ChallengeResponse);
  }

  async #ask(serving: boolean, signal: AbortSignal): Promise<NameResponse> {
    const { control, gatewayPort } = this.#ports;
    const body = { protocol: AGENT_PROTOCOL, addresses: this.#addresses, gatewayPort, serving };
    const call = { lane: "ask", method: "POST", path: "/agent/v1/name", body, signal } as const;
    const answer = await control.call({ ...call, timeoutMs: 30_000 }, NameResponse);
    if (answer === null) throw new Error("the control plane answered without a body");
    return answer;
  }

  async #failed(error: unknown): Promise<void> {
    const { store, limits, log } = this.#ports;
    // A control plane from before nodes had names.
    if (error instanceof Refused && error.status === 404) {
      await store.put({ name: null, gatewayUrl: null, directoryUrl: null });
      this.#dueAtMs = monotonicMs() + limits.nameRefreshMs;
      return;
    }
    this.#failures += 1;
    const retryAfterMs = error instanceof Refused ? error.retryAfterMs : null;
    const waitMs = backoffMs(this.#failures, limits.nameBackoffMinMs, limits.nameBackoffMaxMs, retryAfterMs);
    this.#dueAtMs = monotonicMs() + waitMs;
    this.trouble = `its name could not be had or kept: ${error instanceof Error ? error.message : String(error)}`;
    log.warn({ error: String(error), waitMs: Math.round(waitMs) }, "the node's name is asked for again");
  }

  #withoutAddress(): boolean {
    const trouble = "no interface of this host has a public address: give --public-address, or --gateway-url";
    const isNews = this.trouble !== trouble;
    this.trouble = trouble;
    return isNews;
  }
}
