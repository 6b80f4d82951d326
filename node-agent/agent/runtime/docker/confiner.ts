// How this node's containers are confined, by what its Engine offers: asked once, and again when the Engine was away.
import type Docker from "dockerode";
import type { DesiredInstance } from "../../../../contracts/desired.ts";
import { StartFailed } from "../runtime.ts";
import { type EngineOffers, engineOffers } from "./engine-offers.ts";
import { messageOf } from "./failures.ts";
import type { Confining } from "./profile.ts";

export interface ConfinerLimits {
  readonly ioBytesPerSecondMax: number;
  readonly ioOperationsPerSecondMax: number;
}

export class Confiner {
  readonly #docker: Docker;
  readonly #limits: ConfinerLimits;
  readonly #nameServers: readonly string[];
  #offers: Promise<EngineOffers> | null = null;
  /** What it said that it offers, and refused when it was asked for. */
  #storageRefused = false;
  #ratesRefused = false;

  constructor(docker: Docker, limits: ConfinerLimits, nameServers: readonly string[]) {
    this.#docker = docker;
    this.#limits = limits;
    this.#nameServers = nameServers;
  }

  /** Throws the Engine's own error where it cannot be asked. */
  offers(): Promise<EngineOffers> {
    this.#offers ??= engineOffers(this.#docker);
    this.#offers.catch(() => (this.#offers = null));
    return this.#offers;
  }

  /** It may be another one, or set up in another way. */
  forget(): void {
    this.#offers = null;
    this.#storageRefused = false;
    this.#ratesRefused = false;
  }

  async confining({ runtimeClass = "runc" }: DesiredInstance): Promise<Confining> {
    const { runtimes, disk, mayLimitStorage } = await this.offers();
    const runtime = runtimes.get(runtimeClass);
    if (runtime === undefined) {
      const has = [...runtimes.keys()].join(", ") || "none that is known";
      throw new StartFailed(
        "start_failed",
        `this node's Engine has no runtime of class ${runtimeClass}; it has ${has}`,
      );
    }
    return {
      ...{ ...this.#limits, runtime, nameServers: this.#nameServers },
      disk: this.#ratesRefused ? null : disk,
      limitsStorage: mayLimitStorage && !this.#storageRefused,
    };
  }

  /** Whether the Engine refused what it seemed to offer: then without it, once more. */
  isRefused(error: unknown): boolean {
    const message = messageOf(error);
    if (!this.#storageRefused && /storage.?opt|quota/i.test(message)) this.#storageRefused = true;
    else if (!this.#ratesRefused && /blkio|io\.max|throttle/i.test(message)) this.#ratesRefused = true;
    else return false;
    return true;
  }

  /** What is not kept within limits here, for people. */
  async lacks(): Promise<string[]> {
    const { lacks, disk } = await this.offers();
    const noRates = disk === null || this.#ratesRefused;
    return [...lacks, ...(noRates ? ["no limits on the rate of reads and writes"] : [])];
  }
}
