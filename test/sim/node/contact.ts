// When the control plane last answered this boot's agents, and the watchdog that ends strict singletons where the agent cannot.
import { SIM_AGENT_LIMITS } from "../limits.ts";
import type { Machine } from "./machine.ts";

export class Contact {
  /** Send times, by this machine's monotonic clock. */
  private answeredMs: number | null = null;
  private committedMs: number | null = null;
  private isWatching = false;
  private readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  answered(sentAtMs: number, isLeaseCommitted: boolean): void {
    this.answeredMs = Math.max(this.answeredMs ?? 0, sentAtMs);
    if (isLeaseCommitted) this.committedMs = Math.max(this.committedMs ?? 0, sentAtMs);
  }
  /** A boot's clock means nothing to the next one. */
  forget(): void {
    this.answeredMs = null;
    this.committedMs = null;
  }
  silentForMs(): number {
    return this.answeredMs === null ? Infinity : this.machine.monotonicMs() - this.answeredMs;
  }

  isCovered(): boolean {
    if (!this.machine.habits.isFencing) return true;
    return this.coveredForMs() > 0;
  }
  coveredForMs(): number {
    if (this.committedMs === null) return 0;
    return this.committedMs + SIM_AGENT_LIMITS.strictStopMs - this.machine.monotonicMs();
  }

  /** Looks for as long as a strict singleton runs here. It has a process of its own, and ends them by their process ids. */
  watch(): void {
    if (this.isWatching || !this.machine.habits.isFencing) return;
    this.isWatching = true;
    this.machine.world.after(SIM_AGENT_LIMITS.strictWatchMs, () => {
      this.isWatching = false;
      const running = this.machine.running().filter(({ desired }) => desired.singleton === "strict");
      if (running.length === 0) return;
      const patienceMs = this.machine.agent ? SIM_AGENT_LIMITS.strictHungMs : 0;
      if (this.coveredForMs() <= -patienceMs) {
        for (const container of running) {
          this.machine.world.happened("watchdog ended a strict singleton");
          this.machine.engine.end(container, { exitCode: 137, outOfMemory: false }, "fenced");
        }
      }
      this.watch();
    });
  }
}
