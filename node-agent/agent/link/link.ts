// The agent's line to the control plane beside its heartbeat: wake-ups over the socket or by polls, and the credential's renewal.
import type { Logger } from "pino";
import type { DesiredDocument } from "../../../contracts/desired.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { Identity } from "../state/identity.ts";
import type { Control } from "./control.ts";
import type { ControlClock } from "./control-clock.ts";
import { Poll } from "./poll.ts";
import { renewInTime } from "./renewal.ts";
import { AgentSocket } from "./socket.ts";
import { keepTrustedKeys } from "./trusted-keys.ts";

export interface LinkPorts {
  readonly control: Control;
  readonly identity: Identity;
  readonly clock: ControlClock;
  readonly limits: AgentLimits;
  readonly log: Logger;
  /** http: never over a socket. */
  readonly transport: "auto" | "http";
  /** The newest revision on our disk. */
  readonly revision: () => number;
  /** Resolves once the document is stored (and so may be acknowledged). */
  readonly accept: (document: DesiredDocument) => Promise<void>;
  /** Resolves once the gateway trusts the keys that the identity has now. */
  readonly trust: () => Promise<void>;
}

export class Link {
  /** Heartbeats go this way while it is usable. */
  readonly socket: AgentSocket | null;
  readonly #ports: LinkPorts;
  readonly #poll: Poll;
  readonly #stop = new AbortController();

  constructor(ports: LinkPorts) {
    this.#ports = ports;
    const turned = () => this.#poll.turned();
    this.socket = ports.transport === "http" ? null : new AgentSocket({ ...ports, turned });
    this.#poll = new Poll({ ...ports, socket: this.socket });
  }

  start(): void {
    const { control, identity, clock, log } = this.#ports;
    this.#poll.start();
    this.socket?.start();
    void renewInTime(control, identity, clock, log, this.#stop.signal);
    void keepTrustedKeys(this.#ports, this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.socket?.stop();
    await this.#poll.stop();
  }

  /** Someone heard of this revision. */
  knows(revision: number): void {
    this.#poll.knows(revision);
  }
}
