// How the edge comes to this node: directly, through another node, or through Cloudflare's tunnel; and what is looked after for it.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { NodeReach } from "../../../contracts/agent-protocol.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { assertNever } from "../../../core/step.ts";
import { RELAY_FILE } from "../../relay/relay-file.ts";
import type { GatewaySocket } from "../gateway-child/gateway-socket.ts";
import type { Control } from "../link/control.ts";
import { pause } from "../link/pause.ts";
import type { Conditions } from "../report/conditions.ts";
import type { ReachOption } from "./options.ts";
import { Cloudflared, endCloudflared } from "./cloudflared.ts";
import { RelayKeeper } from "./relay-keeper.ts";

export interface ReachPorts {
  readonly dir: string;
  readonly limits: AgentLimits;
  readonly log: Logger;
  readonly control: Control;
  readonly gateway: GatewaySocket;
  readonly conditions: Conditions;
  /** Whether the edge may come is another question now. */
  readonly changed: () => void;
}

/** What a way to this node needs, looked at every reachLookMs. */
export interface Way {
  look(signal: AbortSignal): Promise<void>;
  /** null: it stands. */
  readonly trouble: string | null;
}

export class Reach {
  readonly kind: NodeReach;
  readonly #ports: ReachPorts;
  readonly #way: Way | null;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #ready: boolean;

  private constructor(kind: NodeReach, ports: ReachPorts, way: Way | null) {
    this.kind = kind;
    this.#ports = ports;
    this.#way = way;
    this.#ready = way === null || way.trouble === null;
  }

  /** What another way had left behind is ended: an operator has chosen this one. */
  static async open(option: ReachOption, ports: ReachPorts): Promise<Reach> {
    const { dir } = ports;
    if (option.kind !== "cloudflared") await endCloudflared(dir);
    if (option.kind !== "relay") await rm(join(dir, RELAY_FILE), { force: true });
    switch (option.kind) {
      case "direct":
        return new Reach(option.kind, ports, null);
      case "relay":
        return new Reach(option.kind, ports, await RelayKeeper.open(ports));
      case "cloudflared":
        return new Reach(option.kind, ports, new Cloudflared(option.tokenFile, ports));
      default:
        return assertNever(option);
    }
  }

  /** False while nobody could come. */
  get ready(): boolean {
    return this.#ready;
  }

  start(): void {
    if (this.#way !== null) this.#loop = this.#run(this.#way);
  }

  /** What was looked after goes on: the gateway's connections, and the tunnel. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(way: Way): Promise<void> {
    const { limits, log, conditions, changed } = this.#ports;
    const { signal } = this.#stop;
    let troubledSinceMs: number | null = null;
    while (!signal.aborted) {
      await way.look(signal).catch((error: unknown) => {
        if (!signal.aborted) log.error({ error: String(error) }, "the way to this node cannot be looked after");
      });
      const { trouble } = way;
      troubledSinceMs = trouble === null ? null : (troubledSinceMs ?? performance.now());
      const lasts = troubledSinceMs !== null && performance.now() - troubledSinceMs >= limits.reachGraceMs;
      conditions.set("not_reachable", lasts ? trouble : null);
      if ((trouble === null) !== this.#ready) {
        this.#ready = trouble === null;
        changed();
      }
      await pause(limits.reachLookMs, signal);
    }
  }
}
