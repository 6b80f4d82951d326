// Reads usage and traffic at intervals and puts them into the meter.
import { statfs } from "node:fs/promises";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { GatewaySocket } from "../gateway-child/gateway-socket.ts";
import type { ControlClock } from "../link/control-clock.ts";
import { pause } from "../link/pause.ts";
import type { Runtime, Unit } from "../runtime/runtime.ts";
import type { Meter } from "./meter.ts";

/** Traffic of apps that something is watching is as fresh as a heartbeat. */
const WATCHED_MS = 1_000;

export interface Used {
  readonly cpuMilli: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

export class Sampler {
  readonly #runtime: Runtime;
  readonly #meter: Meter;
  readonly #gateway: GatewaySocket;
  readonly #running: () => Unit[];
  readonly #clock: ControlClock;
  readonly #limits: AgentLimits;
  readonly #stop = new AbortController();
  #loops: Promise<unknown> = Promise.resolve();
  #cpuBefore = new Map<string, { cpuMs: number; atMs: number }>();
  used: Used = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 };

  constructor(
    runtime: Runtime,
    meter: Meter,
    gateway: GatewaySocket,
    running: () => Unit[],
    clock: ControlClock,
    limits: AgentLimits,
  ) {
    this.#runtime = runtime;
    this.#meter = meter;
    this.#gateway = gateway;
    this.#running = running;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** watched: apps of which every heartbeat tells. */
  start(watched: () => ReadonlySet<string>): void {
    this.#loops = Promise.all([
      this.#every(this.#limits.sampleMs, () => this.#sample()),
      this.#every(WATCHED_MS, async () => {
        const apps = watched();
        if (apps.size > 0) await this.#watch(apps);
        else this.#meter.forgetWatched();
      }),
    ]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loops;
    await this.#sample();
  }

  async #every(ms: number, work: () => Promise<void>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await work().catch(() => undefined);
      await pause(ms, this.#stop.signal);
    }
  }

  async #sample(): Promise<void> {
    const cpuNow = new Map<string, { cpuMs: number; atMs: number }>();
    let memoryBytes = 0;
    let cpuMilli = 0;
    for (const unit of this.#running()) {
      const usage = await this.#runtime.usage(unit);
      this.#meter.run(unit, Date.now() - unit.startedAtMs, usage);
      if (usage === null) continue;
      const now = { cpuMs: usage.cpuMs, atMs: performance.now() };
      const before = this.#cpuBefore.get(unit.life);
      if (before !== undefined) cpuMilli += (1_000 * (now.cpuMs - before.cpuMs)) / (now.atMs - before.atMs);
      cpuNow.set(unit.life, now);
      memoryBytes += usage.memoryBytes;
    }
    this.#cpuBefore = cpuNow;
    const disk = await statfs("/");
    const diskBytes = (disk.blocks - disk.bfree) * disk.bsize;
    this.used = { cpuMilli: Math.max(0, Math.round(cpuMilli)), memoryBytes, diskBytes };
    await this.#traffic();
    this.#meter.tick(this.#clock.nowMs());
    await this.#meter.save();
  }

  async #watch(apps: ReadonlySet<string>): Promise<void> {
    for (const unit of this.#running()) if (apps.has(unit.app)) this.#meter.know(unit);
    // What no gateway could tell just now may be less than what was told before a restart.
    if (await this.#traffic()) await this.#meter.saveWatched(apps);
  }

  async #traffic(): Promise<boolean> {
    const counters = await this.#gateway.counters();
    if (counters !== null) this.#meter.traffic(counters);
    return counters !== null;
  }
}
