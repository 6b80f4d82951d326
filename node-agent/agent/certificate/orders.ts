// Orders of certificates, one after the other, with the account that they are made under and how long to wait after a failed one.
import type { Logger } from "pino";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { ControlClock } from "../link/control-clock.ts";
import { backoffMs } from "../link/pause.ts";
import { AcmeFailed, makeAccountKey, order, type Account } from "./acme.ts";
import type { NameStore } from "./name-store.ts";
import type { Naming } from "./naming.ts";
import { day, readPair, type Pair } from "./pair.ts";

export interface OrderPorts {
  readonly limits: AgentLimits;
  readonly log: Logger;
  readonly clock: ControlClock;
  readonly store: NameStore;
  readonly email: string | null;
}

const ORDERED = { cert: "the ACME server's answer", key: "the key that was made for it" };

export class Orders {
  readonly #ports: OrderPorts;

  constructor(ports: OrderPorts) {
    this.#ports = ports;
  }

  /** Null: it is not time to try again, or it failed; `trouble` says why. */
  async order(name: string, directoryUrl: string, naming: Naming, signal: AbortSignal): Promise<Pair | null> {
    const { limits, log, clock, store, email } = this.#ports;
    if (clock.nowMs() < store.state.retryAtMs) return null;
    const keep = (account: Account) => store.put({ account });
    try {
      const { acmeSettleMs: settleMs, acmeTimeoutMs: timeoutMs } = limits;
      const account = await this.#account(directoryUrl);
      const challenge = (value: string | null) => naming.challenge(value);
      const wish = { name, account, email, settleMs, timeoutMs, signal, log, challenge, keep };
      const { cert, key } = await order(wish);
      const pair = readPair(cert, key, ORDERED);
      await store.put({ failures: 0, retryAtMs: 0, failure: null });
      return pair;
    } catch (error) {
      signal.throwIfAborted();
      await this.#failed(error);
      return null;
    }
  }

  /** What the last order failed of; null when none did. */
  trouble(): string | null {
    const { failure, retryAtMs } = this.#ports.store.state;
    return failure === null ? null : `${failure}; tried again at ${day(retryAtMs)}`;
  }

  async #account(directoryUrl: string): Promise<Account> {
    const { store } = this.#ports;
    if (store.state.account?.directoryUrl === directoryUrl) return store.state.account;
    const account = { directoryUrl, key: await makeAccountKey(), url: null };
    await store.put({ account });
    return account;
  }

  /** By the control plane's clock and on disk: a restart of the agent is no reason to try sooner. */
  async #failed(error: unknown): Promise<void> {
    const { limits, log, clock, store } = this.#ports;
    const failures = store.state.failures + 1;
    const failed = error instanceof AcmeFailed ? error : new AcmeFailed(String(error), null, false);
    const { acmeBackoffMinMs, acmeBackoffMaxMs } = limits;
    const waitMs = backoffMs(failures, acmeBackoffMinMs, acmeBackoffMaxMs, failed.retryAfterMs);
    const clocks = `this server's clock says ${day(Date.now())}, the control plane's ${day(clock.nowMs())}: set the clock`;
    const failure = failed.clock ? `${failed.message}; ${clocks}` : failed.message;
    await store.put({ failures, failure, retryAtMs: clock.nowMs() + waitMs });
    log.warn({ failure, failures, waitMs: Math.round(waitMs) }, "no certificate was had");
  }
}
