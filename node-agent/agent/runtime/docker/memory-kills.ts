// How often the kernel ends processes of a container for want of memory. Once is a mishap that a program may live through; again and
// again it is a program that does nothing else, at its neighbours' cost: memory is filled and freed by the kernel, beyond any limit.
import { Budget } from "../budget.ts";

export interface MemoryKillLimits {
  readonly memoryKillsMax: number;
  readonly memoryKillsPerMinuteMax: number;
}

export interface MemoryKillPorts {
  readonly limits: MemoryKillLimits;
  /** More than a container may have: why, in words. */
  readonly over: (id: string, why: string) => void;
  readonly nowMs: () => number;
}

export class MemoryKills {
  readonly #ports: MemoryKillPorts;
  readonly #budgets = new Map<string, Budget>();

  constructor(ports: MemoryKillPorts) {
    this.#ports = ports;
  }

  happened(id: string): void {
    const { limits, over, nowMs } = this.#ports;
    const { memoryKillsMax: burst, memoryKillsPerMinuteMax: perMinute } = limits;
    const budget = this.#budgets.get(id) ?? new Budget({ burst, perSecond: perMinute / 60 }, nowMs());
    this.#budgets.set(id, budget);
    if (!budget.take(1, nowMs())) over(id, `more than ${burst} of them at once, and than ${perMinute} a minute`);
  }

  /** Its life is over; the next one begins with all of it. */
  forget(id: string): void {
    this.#budgets.delete(id);
  }
}
