// What is done beside one run of an instance: its output is read, and it is asked how it is.
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import { pause } from "../link/pause.ts";
import type { LogFollower, Unit } from "../runtime/runtime.ts";
import { watchHealth } from "./health.ts";
import type { SupervisePorts } from "./ports.ts";

/** How long the end of a run waits for its last output to be read. */
const LOG_END_MS = 500;

export type Doom = Pick<InstanceFailure, "code" | "message">;

export class Attendance {
  readonly #ports: SupervisePorts;
  readonly #unit: Unit;
  readonly #abort = new AbortController();
  #follower: Promise<LogFollower | null>;
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
    this.#follower = this.#follow();
    if (desired === null) return;
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

  /** No more questions; resolves when what the run wrote is on disk, or after a short while. */
  async end(): Promise<void> {
    this.#abort.abort();
    const read = this.#follower.then((follower) => follower?.stop());
    await Promise.race([read, pause(LOG_END_MS)]);
  }

  #condemn(doom: Doom): void {
    const { runtime, log } = this.#ports;
    this.#doom = doom;
    const { instance } = this.#unit;
    runtime.kill(this.#unit).catch((error: unknown) => log.warn({ instance, error: String(error) }, "a kill failed"));
  }

  async #follow(): Promise<LogFollower | null> {
    const { runtime, logs } = this.#ports;
    const { instance } = this.#unit;
    const since = await logs.lastOf(instance);
    if (this.#abort.signal.aborted && since !== null) return null;
    return runtime.follow(this.#unit, since, (line) => logs.append(instance, line));
  }
}
