// How full the disks of this node are: condition and gate above 85 %, and the clean-up before it comes to that.
import { stat, statfs } from "node:fs/promises";
import type { Logger } from "pino";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { usedPercent } from "../../../core/converge/retention.ts";
import { pause } from "../link/pause.ts";
import type { Conditions } from "../report/conditions.ts";
import type { CleanUp } from "./clean-up.ts";
import type { DiskGate } from "./disk-gate.ts";

export interface DiskPorts {
  readonly limits: AgentLimits;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly gate: DiskGate;
  readonly cleanUp: CleanUp;
  /** Folders whose disks matter; those that cannot be looked at (another host's, say) are passed over. */
  readonly folders: () => Promise<readonly string[]>;
}

export class DiskWatch {
  readonly #ports: DiskPorts;
  readonly #stop = new AbortController();
  #looking: Promise<void> | null = null;
  #loop: Promise<void> = Promise.resolve();

  constructor(ports: DiskPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#ports.gate.watchedBy(() => this.look());
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  /** Callers that come together share one look. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error: unknown) => this.#ports.log.warn({ error: String(error) }, "the disks cannot be looked at"))
      .finally(() => (this.#looking = null));
    return this.#looking;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.look();
      await pause(this.#ports.limits.diskLookMs, this.#stop.signal);
    }
  }

  async #look(): Promise<void> {
    const { limits, cleanUp, gate, conditions } = this.#ports;
    let [fullest] = await this.#disks();
    if (fullest !== undefined && fullest.percent >= limits.diskCleanPercent) {
      const isEnough = async () => ((await this.#disks())[0]?.percent ?? 0) < limits.diskCleanToPercent;
      await cleanUp.run(isEnough);
      [fullest] = await this.#disks();
    }
    const percent = fullest?.percent ?? 0;
    const { diskPressurePercent, diskPressureSlackPercent } = limits;
    const from = diskPressurePercent - (gate.pressure === null ? 0 : diskPressureSlackPercent);
    const message =
      percent < from
        ? null
        : `the disk of ${fullest?.folder} is ${Math.floor(percent)} % full; nothing is pulled from ${diskPressurePercent} % on`;
    gate.set(message);
    conditions.set("disk_pressure", message);
  }

  /** Each disk once, fullest first. */
  async #disks(): Promise<{ folder: string; percent: number }[]> {
    const found = new Map<number, { folder: string; percent: number }>();
    for (const folder of await this.#ports.folders()) {
      try {
        const { dev } = await stat(folder);
        if (!found.has(dev)) found.set(dev, { folder, percent: usedPercent(await statfs(folder)) });
      } catch {
        // Not on this host, or not for us to see.
      }
    }
    return [...found.values()].sort((a, b) => b.percent - a.percent);
  }
}
