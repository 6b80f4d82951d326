// What the supervision of instances needs from the rest of the agent.
import type { Logger } from "pino";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { EndpointWriter } from "../gateway-child/endpoint-writer.ts";
import type { GatewaySocket } from "../gateway-child/gateway-socket.ts";
import type { Asks } from "../link/asks.ts";
import type { ControlClock } from "../link/control-clock.ts";
import type { LogStore } from "../logs/log-store.ts";
import type { Meter } from "../metering/meter.ts";
import type { Notices } from "../report/notices.ts";
import type { PlatformEnvironment, Runtime } from "../runtime/runtime.ts";
import type { DesiredStore } from "../state/desired-store.ts";
import type { FactsStore } from "../state/facts-store.ts";
import type { Arrival } from "./arrival.ts";
import type { Dismissal } from "./dismissal.ts";
import type { StrictSingletons } from "./strict.ts";

export interface SupervisePorts {
  readonly runtime: Runtime;
  readonly asks: Asks;
  readonly clock: ControlClock;
  readonly limits: AgentLimits;
  readonly logs: LogStore;
  readonly meter: Meter;
  readonly store: DesiredStore;
  readonly endpoints: EndpointWriter;
  readonly gateway: GatewaySocket;
  /** The node's one public port. */
  readonly gatewayPort: number;
  readonly facts: FactsStore;
  readonly notices: Notices;
  readonly strict: StrictSingletons;
  readonly arrival: Arrival;
  readonly dismissal: Dismissal;
  readonly log: Logger;
  readonly starts: StartQueue;
  readonly platformEnvironment: (desired: DesiredInstance) => PlatformEnvironment;
  /** Something changed: look at the plan again, and tell the control plane. */
  readonly changed: () => void;
}

/** At most so many starts at once; the rest wait in order. */
export class StartQueue {
  readonly #max: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  async run<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#running >= this.#max) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
