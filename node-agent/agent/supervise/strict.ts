// Strict singletons of this node (invariant 4): what may run under which lease, and the end of all of them when it runs out.
import type { Logger } from "pino";
import type { InstanceId } from "../../../contracts/ids.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { pause } from "../link/pause.ts";
import type { Notices } from "../report/notices.ts";
import type { Runtime, Unit } from "../runtime/runtime.ts";
import type { Contact } from "../state/contact.ts";
import type { Moment } from "../state/moment.ts";
import { identifyProcess } from "../state/process-id.ts";
import { fencedKey, readFenced, type RollRow, writeRoll } from "../watchdog/roll.ts";
import type { WatchdogChild } from "../watchdog/watchdog-child.ts";

export interface StrictPorts {
  readonly dir: string;
  readonly limits: AgentLimits;
  readonly log: Logger;
  readonly contact: Contact;
  readonly runtime: Pick<Runtime, "kind">;
  readonly watchdog: WatchdogChild;
  readonly notices: Notices;
  /** The lease ran out: whatever strict singleton is here ends, now and for good. */
  readonly lapsed: () => void;
}

/** A lease may come with any beat; and a watchdog that died is started again within this time. */
const LOOK_MS = 1_000;
const ADMIT_LOOK_MS = 20;

export class StrictSingletons {
  readonly #ports: StrictPorts;
  readonly #rows = new Map<InstanceId, RollRow>();
  readonly #stop = new AbortController();
  /** Whether the control plane said, with or after the present lease, that our document is the newest. */
  #current = false;
  #newestRevision = 0;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();
  #watching: Promise<void> | null = null;

  constructor(ports: StrictPorts) {
    this.#ports = ports;
  }

  get covered(): boolean {
    return this.#coveredForMs() > 0;
  }

  /** What is here was found: the roll of the agent before us is over. Its watchdog's deeds are told. */
  async begin(): Promise<void> {
    const { dir, notices } = this.#ports;
    for (const row of await readFenced(dir)) {
      await notices.add("singleton_fenced", row.instance, row.message, fencedKey(row));
    }
    await this.#write();
    this.#schedule();
  }

  /** A heartbeat sent at that moment was answered. ours: the revision of the document that we have. */
  answered(sentAt: Moment, leaseCommitted: boolean, revision: number, ours: number): void {
    const { contact, log, lapsed } = this.#ports;
    // A lapse that no timer told of in time (this process was stopped) counts all the same: it may be replaced by now.
    if (!this.covered) lapsed();
    this.#newestRevision = Math.max(this.#newestRevision, revision);
    this.#current = ours >= this.#newestRevision && (leaseCommitted || this.#current);
    contact
      .answered(sentAt, leaseCommitted)
      .catch((error: unknown) => log.error({ error: String(error) }, "the contact file cannot be written"));
    this.#schedule();
  }

  accepted(revision: number): void {
    if (revision >= this.#newestRevision && this.covered) this.#current = true;
  }

  /**
   * Resolves once it may be started: a lease covers it, our document is known to be the newest, and the watchdog knows of
   * it. Throws when the signal is aborted, or no watchdog starts.
   */
  async admit({ instance, generation }: Pick<Unit, "instance" | "generation">, signal: AbortSignal): Promise<void> {
    await this.#put({ instance, generation, runtime: this.#ports.runtime.kind, process: null });
    await this.#ports.watchdog.ensure();
    while (!(this.covered && this.#current) && !signal.aborted) await pause(ADMIT_LOOK_MS, signal);
    signal.throwIfAborted();
  }

  /** It runs: from now on the watchdog can end it without asking anybody. */
  async runs({ instance, generation, pid }: Unit): Promise<void> {
    const process = pid === null ? null : await identifyProcess(pid);
    await this.#put({ instance, generation, runtime: this.#ports.runtime.kind, process });
    await this.#ports.watchdog.ensure();
  }

  /** Nothing of it is left, and nothing will be started. */
  async ended(instance: InstanceId): Promise<void> {
    if (this.#rows.delete(instance)) await this.#write();
  }

  async leave(): Promise<void> {
    this.#stop.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#watching;
  }

  #coveredForMs(): number {
    const { contact, limits } = this.#ports;
    return limits.strictStopMs - contact.uncoveredForMs;
  }

  #schedule(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const forMs = this.#coveredForMs();
    if (forMs <= 0) return;
    // A timer sleeps with its host: with something to end, the clocks are looked at now and then.
    const lookMs = this.#rows.size > 0 ? this.#ports.limits.strictWatchMs : Infinity;
    this.#timer = setTimeout(
      () => {
        if (this.covered) return this.#schedule();
        this.#current = false;
        this.#ports.lapsed();
      },
      Math.min(forMs + 1, lookMs),
    );
  }

  #put(row: RollRow): Promise<void> {
    this.#rows.set(row.instance, row);
    this.#watching ??= this.#watch();
    this.#schedule();
    return this.#write();
  }

  #write(): Promise<void> {
    const write = this.#writing
      .catch(() => undefined)
      .then(() => {
        const { dir, limits } = this.#ports;
        const rows = [...this.#rows.values()];
        return writeRoll(dir, { stopMs: limits.strictStopMs, hungMs: limits.strictHungMs, rows });
      });
    this.#writing = write;
    return write;
  }

  async #watch(): Promise<void> {
    const { watchdog, log } = this.#ports;
    while (!this.#stop.signal.aborted) {
      await pause(LOOK_MS, this.#stop.signal);
      if (this.#rows.size === 0 || this.#stop.signal.aborted) continue;
      await watchdog.ensure().catch((error: unknown) => log.error({ error: String(error) }, "the watchdog"));
    }
  }
}
