// The gateway process: started detached, adopted after our own restart, started again when it is dead. It outlives us.
import { spawn } from "node:child_process";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { GATEWAY_PID_FILE } from "../../endpoint-file.ts";
import { pause } from "../link/pause.ts";
import { readJsonFile } from "../state/durable-file.ts";
import { bootId, livingOwner, ProcessId, signal, waitForEnd } from "../state/process-id.ts";
import type { GatewaySocket } from "./gateway-socket.ts";

export interface GatewayPlace {
  readonly dir: string;
  readonly host: string;
  readonly port: number;
}

/** A gateway that dies at once (its port is taken, say) is started again this much later. */
const RESTART_MS = 500;
const START_TIMEOUT_MS = 10_000;

export interface GatewayWatch {
  /** `ready` changed. */
  readonly changed: () => void;
  /** One that ran had died, and another one was started. */
  readonly restarted: () => void;
}

export class GatewayChild {
  readonly #place: GatewayPlace;
  readonly #socket: GatewaySocket;
  readonly #limits: AgentLimits;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #exited = new AbortController();
  #ready = false;
  #watching: Promise<void> | null = null;

  constructor(place: GatewayPlace, socket: GatewaySocket, limits: AgentLimits, log: Logger) {
    this.#place = place;
    this.#socket = socket;
    this.#limits = limits;
    this.#log = log;
  }

  get ready(): boolean {
    return this.#ready;
  }

  start(ports: GatewayWatch): void {
    this.#watching ??= this.#watch(ports, (ready) => {
      if (ready === this.#ready) return;
      this.#ready = ready;
      ports.changed();
    });
  }

  /** Ends the watch; the gateway runs on. */
  async leave(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  async #watch({ restarted }: GatewayWatch, tell: (ready: boolean) => void): Promise<void> {
    const { dir } = this.#place;
    // One that died with the boot is not missed.
    let ran = (await readJsonFile(join(dir, GATEWAY_PID_FILE), ProcessId).catch(() => null))?.bootId === bootId();
    while (!this.#stop.signal.aborted) {
      if ((await livingOwner(join(dir, GATEWAY_PID_FILE))) === null) {
        tell(false);
        await this.#spawn();
        if (ran && !this.#stop.signal.aborted) restarted();
        ran = true;
      } else {
        // Alive by its pid is not yet listening; listening is what visitors need.
        tell((await this.#socket.counters()) !== null);
      }
      await pause(this.#limits.gatewayWatchMs, AbortSignal.any([this.#stop.signal, this.#exited.signal]));
    }
  }

  /** Resolves once it answers, or has died, or its time is over. */
  async #spawn(): Promise<void> {
    const { dir, host, port } = this.#place;
    const exited = new AbortController();
    this.#exited = exited;
    const log = await open(join(dir, "gateway.log"), "w", 0o600);
    try {
      const entry = process.argv[1] as string;
      const args = [
        ...process.execArgv,
        entry,
        "gateway",
        "--dir",
        dir,
        "--gateway-host",
        host,
        "--gateway-port",
        String(port),
      ];
      const child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", log.fd, log.fd] });
      child.once("error", (error) => this.#log.error({ error: error.message }, "the gateway could not be started"));
      child.once("exit", (exitCode, signalName) => {
        if (!this.#stop.signal.aborted) this.#log.warn({ exitCode, signal: signalName }, "the gateway ended");
        exited.abort();
      });
      child.unref();
      this.#log.info({ pid: child.pid, host, port }, "gateway started");
    } finally {
      await log.close();
    }
    const untilMs = performance.now() + START_TIMEOUT_MS;
    while (performance.now() < untilMs && !exited.signal.aborted && !this.#stop.signal.aborted) {
      if ((await this.#socket.counters()) !== null) break;
      await pause(20, exited.signal);
    }
    if (exited.signal.aborted) {
      await pause(RESTART_MS, this.#stop.signal);
      this.#exited = new AbortController();
    }
  }
}

/** For `purge`: its drain is cut short, because everything behind it ends too. */
export async function endGateway(dir: string): Promise<void> {
  const owner = await livingOwner(join(dir, GATEWAY_PID_FILE));
  if (owner === null) return;
  await signal(owner, "SIGKILL");
  await waitForEnd(owner, 5_000);
}
