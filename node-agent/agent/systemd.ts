// What systemd is told where it runs this agent: ready, heard by the control plane, and alive (sd_notify(3)).
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
/** It waits until systemd has read the message. */
const TOLD_WITHIN_MS = 5_000;

export class Systemd {
  readonly #socket: string;
  #pulse: NodeJS.Timeout | undefined;
  #told = "";
  #line: Promise<void> = Promise.resolve();

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /** null: systemd did not start this, or wants to hear nothing. What is started from here has nothing to tell it. */
  static open(environment: NodeJS.ProcessEnv): Systemd | null {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog } = environment;
    for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete environment[name];
    if (socket === undefined || socket === "") return null;
    const systemd = new Systemd(socket);
    const everyMs = Number(watchdog ?? 0) / 1_000 / 3;
    // Its own timer, so that an agent whose loop stands still says nothing.
    if (everyMs > 0) systemd.#pulse = setInterval(() => systemd.#tell("WATCHDOG=1"), everyMs).unref();
    return systemd;
  }

  /** It has its identity and goes to work; what it waits for now are others. */
  ready(node: string): void {
    this.#tell("READY=1", `STATUS=${node}: not heard by the control plane yet`);
  }

  status(text: string): void {
    if (this.#told === text) return;
    this.#told = text;
    this.#tell(`STATUS=${text}`);
  }

  async leave(): Promise<void> {
    clearInterval(this.#pulse);
    this.#tell("STOPPING=1");
    await this.#line;
  }

  /** One after the other, so that the last word stands. A word that does not arrive must not end the agent. */
  #tell(...words: string[]): void {
    const env = { PATH: process.env.PATH ?? "/usr/bin:/bin", NOTIFY_SOCKET: this.#socket };
    this.#line = this.#line
      .then(() => run("systemd-notify", words, { env, timeout: TOLD_WITHIN_MS }))
      .then(
        () => undefined,
        () => undefined,
      );
  }
}
