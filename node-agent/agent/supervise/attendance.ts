// What is done beside one run of an instance: its output is read, and it is asked how it is.
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import { pause } from "../link/pause.ts";
import { redactorOf, type Redact } from "../logs/redact.ts";
import type { LogFollower, Unit } from "../runtime/runtime.ts";
import { watchHealth } from "./health.ts";
import type { SupervisePorts } from "./ports.ts";

const KILL_AGAIN_MS = 500;

export type Doom = Pick<InstanceFailure, "code" | "message">;

export class Attendance {
  readonly #ports: SupervisePorts;
  readonly #unit: Unit;
  readonly #abort = new AbortController();
  readonly #follower: Promise<LogFollower>;
  readonly #redact: Promise<Redact>;
  #doom: Doom | null = null;

  /** desired is null for a run that no document names any more: it is read until it is stopped, and not asked. */
  constructor(
    ports: SupervisePorts,
    unit: Unit,
    desired: DesiredInstance | null,
    wasReady: boolean,
    onReady: (fault: string | null) => void,
  ) {
    this.#ports = ports;
    this.#unit = unit;
    this.#redact = ports.runtime.environmentOf(unit).then(redactorOf);
    this.#follower = this.#follow();
    if (desired === null) return;
    if (desired.job) {
      void this.#endInTime(desired.job.timeoutMs);
      return;
    }
    const { host, port } = unit;
    const { limits } = ports;
    const onDoomed = (code: "never_ready" | "liveness_failed", message: string) => this.#condemn({ code, message });
    const health = { probes: desired.probes, host, port, limits, onReady, onDoomed };
    void watchHealth(health, wasReady, this.#abort.signal);
  }

  /** Why we ended the run ourselves, if we did. */
  get doom(): Doom | null {
    return this.#doom;
  }

  /** The run is over: no more questions; resolves when what it wrote was read. */
  async finish(): Promise<void> {
    this.#abort.abort();
    await (await this.#follower).finish();
  }

  /** Its last lines, as they may be told. */
  async tail(lines: number): Promise<string[]> {
    const [redact, tail] = await Promise.all([this.#redact, this.#ports.runtime.logTail(this.#unit, lines)]);
    return tail.map(redact);
  }

  /** Lets go of a run that goes on. */
  async leave(): Promise<void> {
    this.#abort.abort();
    await (await this.#follower).stop();
  }

  /** A one-off instance is asked nothing. What an agent before us let it have counts. */
  async #endInTime(timeoutMs: number): Promise<void> {
    const hadMs = Math.min(Math.max(0, Date.now() - this.#unit.startedAtMs), timeoutMs);
    await pause(timeoutMs - hadMs, this.#abort.signal);
    if (this.#abort.signal.aborted) return;
    this.#condemn({ code: "timed_out", message: `it was ended after ${timeoutMs / 1_000} s, its time-out` });
  }

  #condemn(doom: Doom): void {
    this.#doom = doom;
    void this.#kill();
  }

  /** Until it worked: nobody asks this run how it is any more. */
  async #kill(): Promise<void> {
    const { runtime, log } = this.#ports;
    const { instance } = this.#unit;
    while (!this.#abort.signal.aborted) {
      try {
        await runtime.whenUp(this.#abort.signal);
        return await runtime.kill(this.#unit);
      } catch (error) {
        log.warn({ instance, error: String(error) }, "a kill is tried again");
        await pause(KILL_AGAIN_MS, this.#abort.signal);
      }
    }
  }

  async #follow(): Promise<LogFollower> {
    const { runtime, logs } = this.#ports;
    const { instance } = this.#unit;
    const since = await logs.lastOf(instance);
    const redact = await this.#redact;
    return runtime.follow(this.#unit, since, (line) => logs.append(instance, { ...line, line: redact(line.line) }));
  }
}
