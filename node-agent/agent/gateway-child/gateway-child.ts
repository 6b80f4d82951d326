// The gateway process: started detached, adopted after our own restart, started again when it is dead. It outlives us.
import { spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { GATEWAY_LEAVING_PREFIX, GATEWAY_PID_FILE, type GatewayCounters } from "../../endpoint-file.ts";
import { pause } from "../link/pause.ts";
import { readJsonFile } from "../state/durable-file.ts";
import { bootId, livingOwner, ProcessId, signal, waitForEnd } from "../state/process-id.ts";
import { AGENT_VERSION } from "../version.ts";
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
  /** One of another version may be asked to hand over; how that ended. */
  readonly mayReplace: () => boolean;
  readonly replaced: (told: string) => void;
  readonly kept: (told: string) => void;
}

export class GatewayChild {
  readonly #place: GatewayPlace;
  readonly #socket: GatewaySocket;
  readonly #limits: AgentLimits;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #exited = new AbortController();
  #ready = false;
  #version: string | null = null;
  #askAgainAtMs = 0;
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

  /** Of the gateway's bundle; null where none answers, or it does not say. */
  get version(): string | null {
    return this.#version;
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

  async #watch(watch: GatewayWatch, tell: (ready: boolean) => void): Promise<void> {
    const { dir } = this.#place;
    const { restarted } = watch;
    // One that died with the boot is not missed.
    let ran = (await readJsonFile(join(dir, GATEWAY_PID_FILE), ProcessId).catch(() => null))?.bootId === bootId();
    while (!this.#stop.signal.aborted) {
      if ((await livingOwner(join(dir, GATEWAY_PID_FILE))) === null) {
        tell(false);
        this.#heard(await this.#spawn(), tell);
        if (ran && !this.#stop.signal.aborted) restarted();
        ran = true;
      } else {
        // Alive by its pid is not yet listening; listening is what visitors need.
        const answer = await this.#socket.counters();
        this.#heard(answer, tell);
        if (answer !== null && this.#version !== AGENT_VERSION && watch.mayReplace()) await this.#replace(watch);
      }
      await pause(this.#limits.gatewayWatchMs, AbortSignal.any([this.#stop.signal, this.#exited.signal]));
    }
  }

  #heard(answer: GatewayCounters | null, tell: (ready: boolean) => void): void {
    this.#version = answer?.version ?? null;
    tell(answer !== null);
  }

  /** No connection is lost: the next one gets the listening socket itself, and the one before ends when its last visitor has. */
  async #replace({ changed, replaced, kept }: GatewayWatch): Promise<void> {
    if (performance.now() < this.#askAgainAtMs) return;
    this.#askAgainAtMs = performance.now() + this.#limits.handOverRetryMs;
    const from = this.#version ?? "one from before hand-overs";
    try {
      await this.#socket.handOver({ program: process.execPath, args: this.#arguments() });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#log.warn({ from, why }, "the gateway is not handed over");
      return kept(`gateway ${from} goes on, because ${AGENT_VERSION} could not take over: ${why}`);
    }
    this.#version = AGENT_VERSION;
    this.#log.info({ from, to: AGENT_VERSION }, "the gateway is handed over");
    replaced(`gateway ${AGENT_VERSION} took over from ${from}, with its port and its connections`);
    changed();
  }

  #arguments(): string[] {
    const { dir, host, port } = this.#place;
    const place = ["--dir", dir, "--gateway-host", host, "--gateway-port", String(port)];
    return [...process.execArgv, process.argv[1] as string, "gateway", ...place];
  }

  /** Resolves with its first answer; null where it has died, or its time is over. */
  async #spawn(): Promise<GatewayCounters | null> {
    const { dir, host, port } = this.#place;
    const exited = new AbortController();
    this.#exited = exited;
    const log = await open(join(dir, "gateway.log"), "w", 0o600);
    try {
      const child = spawn(process.execPath, this.#arguments(), { detached: true, stdio: ["ignore", log.fd, log.fd] });
      child.once("error", (error) => this.#log.error({ error: error.message }, "the gateway could not be started"));
      child.once("exit", (exitCode, signalName) => {
        if (!this.#stop.signal.aborted) this.#log.warn({ exitCode, signal: signalName }, "the gateway ended");
        exited.abort();
      });
      child.unref();
      if (child.pid !== undefined) prefer(child.pid);
      this.#log.info({ pid: child.pid, host, port }, "gateway started");
    } finally {
      await log.close();
    }
    const untilMs = performance.now() + START_TIMEOUT_MS;
    while (performance.now() < untilMs && !exited.signal.aborted && !this.#stop.signal.aborted) {
      const answer = await this.#socket.counters();
      if (answer !== null) return answer;
      await pause(20, exited.signal);
    }
    if (exited.signal.aborted) {
      await pause(RESTART_MS, this.#stop.signal);
      this.#exited = new AbortController();
    }
    return null;
  }
}

/** All tenants' visitors pass it: beside a greedy tenant it must not wait its turn as if it were one. Where that is not ours to say, it waits. */
function prefer(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_ABOVE_NORMAL);
  } catch {
    // Not as root.
  }
}

/** For `purge`: its drain is cut short, because everything behind it ends too. */
export async function endGateway(dir: string): Promise<void> {
  const found = await readdir(dir).catch(() => []);
  const names = found.filter((name) => name === GATEWAY_PID_FILE || name.startsWith(GATEWAY_LEAVING_PREFIX));
  for (const name of names) {
    const owner = await livingOwner(join(dir, name));
    if (owner !== null) {
      await signal(owner, "SIGKILL");
      await waitForEnd(owner, 5_000);
    }
    await rm(join(dir, name), { force: true });
  }
}
