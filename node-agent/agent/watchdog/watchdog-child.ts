// Keeps a watchdog process alive while there is a strict singleton; it is detached, and outlives the agent.
import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Logger } from "pino";
import { pause } from "../link/pause.ts";
import { WATCHDOG_PID_FILE } from "../state/pid-files.ts";
import { livingOwner, signal } from "../state/process-id.ts";

const START_TIMEOUT_MS = 5_000;

export class WatchdogChild {
  readonly #dir: string;
  readonly #watchMs: number;
  readonly #log: Logger;
  #starting: Promise<void> | null = null;

  constructor(dir: string, watchMs: number, log: Logger) {
    this.#dir = dir;
    this.#watchMs = watchMs;
    this.#log = log;
  }

  /** Resolves once one runs; throws when none comes up. */
  async ensure(): Promise<void> {
    if ((await livingOwner(join(this.#dir, WATCHDOG_PID_FILE))) !== null) return;
    this.#starting ??= this.#start().finally(() => (this.#starting = null));
    await this.#starting;
  }

  async #start(): Promise<void> {
    const entry = process.argv[1] as string;
    const args = [...process.execArgv, entry, "watchdog", "--dir", this.#dir, "--watch-ms", String(this.#watchMs)];
    const child = spawn(process.execPath, args, { detached: true, stdio: "ignore" });
    child.once("error", (error) => this.#log.error({ error: error.message }, "the watchdog could not be started"));
    child.unref();
    this.#log.info({ pid: child.pid }, "watchdog started");
    const untilMs = performance.now() + START_TIMEOUT_MS;
    while ((await livingOwner(join(this.#dir, WATCHDOG_PID_FILE))) === null) {
      if (performance.now() > untilMs) throw new Error("the watchdog over strict singletons does not start");
      await pause(20);
    }
  }
}

/** For `purge`. */
export async function endWatchdog(dir: string): Promise<void> {
  const owner = await livingOwner(join(dir, WATCHDOG_PID_FILE));
  if (owner !== null) await signal(owner, "SIGKILL");
}
