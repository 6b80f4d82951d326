// When the control plane last answered, by this boot's clocks: on disk for the agent that comes next, and for the watchdog.
import { join } from "node:path";
import { z } from "zod";
import { readJsonFile, writeAtomically } from "./durable-file.ts";
import { type Clocks, HOST_CLOCKS, isLater, type Moment, sinceMs } from "./moment.ts";
import { bootId } from "./process-id.ts";

export const CONTACT_FILE = "contact.json";

/**
 * Send times of the last heartbeat that was answered, and of the last one whose answer said that a lease row was committed.
 * A watchdog may be older than the agent that writes this: what it reads keeps its name.
 */
const Stored = z.object({
  bootId: z.string(),
  answeredMs: z.number(),
  answeredUptimeMs: z.number().nullable().default(null),
  committedMs: z.number().nullable(),
  committedUptimeMs: z.number().nullable().default(null),
});

export class Contact {
  readonly #path: string;
  readonly #clocks: Clocks;
  #answered: Moment | null;
  #committed: Moment | null;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, clocks: Clocks, { answered, committed }: Moments) {
    this.#path = path;
    this.#clocks = clocks;
    this.#answered = answered;
    this.#committed = committed;
  }

  static async open(dir: string, clocks = HOST_CLOCKS): Promise<Contact> {
    return new Contact(join(dir, CONTACT_FILE), clocks, await read(dir));
  }

  /** Milliseconds since the last heartbeat that was answered was sent; Infinity when none was in this boot. */
  get silentForMs(): number {
    return this.#answered === null ? Infinity : sinceMs(this.#answered, this.#clocks);
  }

  /** Milliseconds since the last heartbeat that a committed lease row acknowledged was sent; Infinity when none was in this boot. */
  get uncoveredForMs(): number {
    return this.#committed === null ? Infinity : sinceMs(this.#committed, this.#clocks);
  }

  /**
   * A heartbeat sent at that moment was answered. Resolves once the file says so: what the watchdog does not know of may not
   * be relied on. No sync is needed: the file is void after a loss of power.
   */
  async answered(sentAt: Moment, leaseCommitted: boolean): Promise<void> {
    if (isLater(sentAt, this.#answered)) this.#answered = sentAt;
    if (leaseCommitted && isLater(sentAt, this.#committed)) this.#committed = sentAt;
    const write = this.#writing
      .catch(() => undefined)
      .then(() => {
        return writeAtomically(this.#path, JSON.stringify(this.#stored()));
      });
    this.#writing = write;
    await write;
  }

  #stored(): z.input<typeof Stored> {
    return {
      bootId: bootId(),
      answeredMs: this.#answered?.monotonicMs ?? 0,
      answeredUptimeMs: this.#answered?.uptimeMs ?? null,
      committedMs: this.#committed?.monotonicMs ?? null,
      committedUptimeMs: this.#committed?.uptimeMs ?? null,
    };
  }
}

/** What the watchdog goes by; null where the file says nothing about this boot. */
export async function readCommitted(dir: string): Promise<Moment | null> {
  return (await read(dir)).committed;
}

interface Moments {
  readonly answered: Moment | null;
  readonly committed: Moment | null;
}

/** Another boot's clocks mean nothing to ours; whatever ran then ended with it. */
async function read(dir: string): Promise<Moments> {
  const stored = await readJsonFile(join(dir, CONTACT_FILE), Stored).catch(() => null);
  if (stored?.bootId !== bootId()) return { answered: null, committed: null };
  const { answeredMs, answeredUptimeMs, committedMs, committedUptimeMs } = stored;
  return {
    answered: { monotonicMs: answeredMs, uptimeMs: answeredUptimeMs },
    committed: committedMs === null ? null : { monotonicMs: committedMs, uptimeMs: committedUptimeMs },
  };
}
