// When the control plane last answered, by this boot's monotonic clock: on disk for the agent that comes next, and for the watchdog.
import { join } from "node:path";
import { z } from "zod";
import { monotonicMs } from "../link/control-clock.ts";
import { readJsonFile, writeAtomically } from "./durable-file.ts";
import { bootId } from "./process-id.ts";

export const CONTACT_FILE = "contact.json";

/** Send times of the last heartbeat that was answered, and of the last one whose answer said that a lease row was committed. */
const Stored = z.object({
  bootId: z.string(),
  answeredMs: z.number(),
  committedMs: z.number().nullable(),
});

export class Contact {
  readonly #path: string;
  #answeredMs: number | null;
  #committedMs: number | null;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, stored: z.infer<typeof Stored> | null) {
    this.#path = path;
    // Another boot's clock means nothing to ours; whatever ran then ended with it.
    const ours = stored?.bootId === bootId() ? stored : null;
    this.#answeredMs = ours?.answeredMs ?? null;
    this.#committedMs = ours?.committedMs ?? null;
  }

  static async open(dir: string): Promise<Contact> {
    const path = join(dir, CONTACT_FILE);
    return new Contact(path, await readJsonFile(path, Stored).catch(() => null));
  }

  /** Milliseconds since the last heartbeat that was answered was sent; Infinity when none was in this boot. */
  get silentForMs(): number {
    return this.#answeredMs === null ? Infinity : monotonicMs() - this.#answeredMs;
  }

  /** Monotonic time until which a lease covers strict singletons; null when none ever did in this boot. */
  coveredUntilMs(strictStopMs: number): number | null {
    return this.#committedMs === null ? null : this.#committedMs + strictStopMs;
  }

  /**
   * A heartbeat sent at sentAtMs was answered. Resolves once the file says so: what the watchdog does not know of may not be
   * relied on. No sync is needed: the file is void after a loss of power.
   */
  async answered(sentAtMs: number, leaseCommitted: boolean): Promise<void> {
    this.#answeredMs = Math.max(this.#answeredMs ?? 0, sentAtMs);
    if (leaseCommitted) this.#committedMs = Math.max(this.#committedMs ?? 0, sentAtMs);
    const write = this.#writing
      .catch(() => undefined)
      .then(() => {
        const stored = { bootId: bootId(), answeredMs: this.#answeredMs, committedMs: this.#committedMs };
        return writeAtomically(this.#path, JSON.stringify(stored));
      });
    this.#writing = write;
    await write;
  }
}

/** What the watchdog reads; null where the file says nothing about this boot. */
export async function readCommittedMs(dir: string): Promise<number | null> {
  const stored = await readJsonFile(join(dir, CONTACT_FILE), Stored).catch(() => null);
  return stored?.bootId === bootId() ? stored.committedMs : null;
}
