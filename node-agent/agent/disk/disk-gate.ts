// Whether anything may be fetched onto this node's disk just now; asked by whatever pulls, told by the watch over the disks.
import { StartFailed } from "../runtime/runtime.ts";

export class DiskGate {
  #pressure: string | null = null;
  #lookNow: () => Promise<void> = () => Promise.resolve();
  #pulls = new AbortController();

  /** Why nothing may be fetched, in words. */
  get pressure(): string | null {
    return this.#pressure;
  }

  /** How the disks are looked at again, before something is fetched. */
  watchedBy(lookNow: () => Promise<void>): void {
    this.#lookNow = lookNow;
  }

  set(pressure: string | null): void {
    this.#pressure = pressure;
    // A pull that goes on would fill the disk under those who run.
    if (pressure !== null) this.#pulls.abort();
    else if (this.#pulls.signal.aborted) this.#pulls = new AbortController();
  }

  /** Before anything is fetched. Throws StartFailed. Answers the signal by which the fetch is stopped when the disk fills. */
  async admit(what: string): Promise<AbortSignal> {
    await this.#lookNow();
    if (this.#pressure !== null) throw this.refusal(what);
    return this.#pulls.signal;
  }

  refusal(what: string): StartFailed {
    return new StartFailed("disk_pressure", `${what} is not fetched: ${this.#pressure ?? "the disk was full"}`);
  }
}
