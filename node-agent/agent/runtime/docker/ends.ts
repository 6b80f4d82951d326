// The ends of this node's containers: each told once, whoever saw it first, and with what is known of its cause.
import type Docker from "dockerode";
import type { Exit, Unit } from "../runtime.ts";
import type { Containers } from "./containers.ts";
import { type MemoryKillLimits, MemoryKills } from "./memory-kills.ts";

/** Somebody took the container away: how it ended is not to be known any more. */
const REMOVED: Exit = { exitCode: null, signal: null, outOfMemory: false, cause: "missing" };
/** Lives remembered as told. */
const TOLD_MAX = 10_000;

/** why: in words. */
export interface Why {
  readonly cause: "disk" | "logs" | "memory";
  readonly why: string;
}

export class Ends {
  readonly #docker: Docker;
  readonly #containers: Containers;
  readonly #engineAnswers: () => Promise<boolean>;
  /** Lives whose end was told, so that the event stream and a listing tell it once. */
  readonly #told = new Set<string>();
  /** Containers that were ended for what they wrote (the next run begins without it), printed or did with their memory, and why. */
  readonly #condemned = new Map<string, Why>();
  readonly #kills: MemoryKills;
  onExit: (unit: Unit, exit: Exit) => void = () => undefined;

  constructor(docker: Docker, containers: Containers, limits: MemoryKillLimits, engineAnswers: () => Promise<boolean>) {
    this.#docker = docker;
    this.#containers = containers;
    this.#engineAnswers = engineAnswers;
    const over = (id: string, why: string) => void this.condemn(id, { cause: "memory", why });
    this.#kills = new MemoryKills({ limits, over, nowMs: () => performance.now() });
  }

  /** Ends a container that wrote or printed more than it may, or ran out of memory too often. */
  async condemn(id: string, why: Why): Promise<void> {
    this.#condemned.set(id, why);
    // 409: it has ended by itself meanwhile. Whatever else: it is found over its limit again at the next look.
    await this.#docker
      .getContainer(id)
      .kill()
      .catch(() => undefined);
  }

  /** True once: what it wrote is to go with it. */
  wasOverfull(id: string): boolean {
    const why = this.#condemned.get(id);
    this.#condemned.delete(id);
    return why?.cause === "disk";
  }

  /** It is being ended on purpose: no news. */
  expect(unit: Unit): void {
    this.#told.add(unit.life);
  }

  forget(unit: Unit): void {
    this.#told.delete(unit.life);
    this.#condemned.delete(unit.id);
  }

  /** One that ended before it was looked at is told like any other end; the caller goes by that. */
  noted(unit: Unit): Unit {
    if (unit.exit !== null) setImmediate(() => this.tell(unit));
    return unit;
  }

  /** The kernel ended a process of it, and maybe not the first one. */
  outOfMemory(id: string): void {
    this.#kills.happened(id);
  }

  async look(id: string): Promise<void> {
    this.#kills.forget(id);
    const seen = this.#containers.seen(id);
    const unit = await this.#containers.unit(id).catch(() => undefined);
    if (unit) {
      // An Engine that takes nobody any more is on its way down, and takes its containers with it.
      this.tell(unit, unit.exit === null || (await this.#engineAnswers()) ? undefined : "engine");
    } else if (unit === null && seen !== undefined) {
      this.#containers.forget(id);
      this.tell({ ...seen, pid: null, exit: REMOVED });
    }
  }

  tell(unit: Unit, cause?: Exit["cause"]): void {
    if (unit.exit === null || this.#told.has(unit.life)) return;
    this.#told.add(unit.life);
    if (this.#told.size > TOLD_MAX) this.#told.delete(this.#told.values().next().value as string);
    const condemned = this.#condemned.get(unit.id);
    if (condemned !== undefined) this.onExit(unit, { ...unit.exit, ...condemned });
    else this.onExit(unit, cause === undefined ? unit.exit : { ...unit.exit, cause });
  }
}
