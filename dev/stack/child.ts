// A supervised child of the stack: started, waited for, started again with backoff when it ends by itself, ended on request.
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { end, killGroup } from "../process/end.ts";
import { identify, ROLE_VARIABLE, STACK_VARIABLE } from "../process/identity.ts";
import { NAMESPACES_DIR } from "../network/namespaces.ts";
import type { Ledger } from "../process/ledger.ts";

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** A child that lived this long is started again without delay: its end was no crash loop. */
const STEADY_MS = 10_000;
const LOG_BYTES_MAX = 10 * 1024 * 1024;

export interface ChildSpec {
  readonly role: string;
  /** Runs before each start: frees what the last one left. */
  readonly prepare?: () => Promise<void>;
  readonly start: (environment: Record<string, string>) => ChildProcess;
  /** Resolves when the child answers; rejects when it cannot. */
  readonly untilReady: (child: ChildProcess) => Promise<void>;
  readonly stopSignal: NodeJS.Signals;
  /** true: what the child started ends with it. */
  readonly ownsGroup: boolean;
  /** Its last lines are told where a start fails. */
  readonly logFile?: string;
}

export class SupervisedChild {
  readonly role: string;
  restarts = 0;
  readonly #spec: ChildSpec;
  readonly #ledger: Ledger;
  readonly #stackId: string;
  readonly #log: (line: string) => void;
  #child: ChildProcess | null = null;
  #wanted = false;
  /** Ends in a row without a steady life in between. */
  #failures = 0;
  #restarting = false;
  #ready: Promise<void> = Promise.resolve();

  constructor(
    spec: ChildSpec,
    { ledger, stackId, log }: { ledger: Ledger; stackId: string; log: (line: string) => void },
  ) {
    this.role = spec.role;
    this.#spec = spec;
    this.#ledger = ledger;
    this.#stackId = stackId;
    this.#log = log;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Resolves when the child answers. The first start fails aloud; later ones are tried again for as long as it is wanted. */
  async start(): Promise<void> {
    if (this.#child !== null) return this.#ready;
    this.#wanted = true;
    this.#ready = this.#startOnce();
    return this.#ready;
  }

  /** Signals the child; resolves when it is gone. `hold`: it stays down until `start`; otherwise it is started again at once. */
  async kill(signal: NodeJS.Signals, { hold = false } = {}): Promise<void> {
    if (hold) this.#wanted = false;
    const child = this.#child;
    const identity = child?.pid === undefined ? null : identify(child.pid);
    if (identity === null) return;
    // What it started dies in the same moment, as with the power.
    if (signal === "SIGKILL" && this.#spec.ownsGroup) killGroup(identity.pid);
    await end(identity, { politely: signal, graceMs: 10_000 });
    while (this.#child === child) await sleep(1);
  }

  /** Stops or continues a process without ending it. */
  pause(signal: "SIGSTOP" | "SIGCONT"): void {
    const pid = this.#child?.pid;
    if (pid !== undefined) process.kill(this.#spec.ownsGroup ? -pid : pid, signal);
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    await this.kill(this.#spec.stopSignal, { hold: true });
    while (this.#child !== null) await sleep(5);
  }

  /** Waits for a restart that is under way. */
  async untilReady(): Promise<void> {
    while (this.#wanted && this.#child === null) await sleep(20);
    await this.#ready;
  }

  async #startOnce(): Promise<void> {
    await this.#spec.prepare?.();
    if (!this.#wanted) throw new Error(`${this.role} is no longer wanted`);
    const child = this.#spec.start({ [STACK_VARIABLE]: this.#stackId, [ROLE_VARIABLE]: this.role });
    this.#child = child;
    const startedMs = performance.now();
    if (child.pid !== undefined) this.#ledger.record(this.role, child.pid);
    const ended = new Promise<never>((_, reject) => {
      child.once("error", (error) => this.#onEnd(child, startedMs, error.message, reject));
      child.once("exit", (code, signal) => this.#onEnd(child, startedMs, signal ?? `exit ${code}`, reject));
    });
    // Whoever waits for the start hears of its end; once it is up, nobody does.
    ended.catch(() => {});
    await Promise.race([this.#spec.untilReady(child), ended]);
  }

  #onEnd(child: ChildProcess, startedMs: number, how: string, reject: (error: Error) => void): void {
    if (this.#child !== child) return;
    this.#child = null;
    if (this.#spec.ownsGroup && child.pid !== undefined) killGroup(child.pid);
    this.#ledger.forget(this.role);
    reject(new Error(`${this.role} ended while starting (${how})${lastLines(this.#spec.logFile)}`));
    if (!this.#wanted) return;
    this.#log(`${this.role} ended (${how}), starting it again${lastLines(this.#spec.logFile, 1)}`);
    this.#failures = performance.now() - startedMs > STEADY_MS ? 0 : this.#failures + 1;
    if (!this.#restarting) void this.#startAgain();
  }

  async #startAgain(): Promise<void> {
    this.#restarting = true;
    while (this.#wanted && this.#child === null) {
      await sleep(this.#failures === 0 ? 0 : Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (this.#failures - 1)));
      if (!this.#wanted) break;
      this.restarts += 1;
      this.#ready = this.#startOnce();
      try {
        await this.#ready;
      } catch (error) {
        if (this.#child === null) this.#failures += 1;
        this.#log(`${this.role}: ${(error as Error).message.split("\n")[0]}`);
      }
    }
    this.#restarting = false;
  }
}

function lastLines(logFile: string | undefined, count = 12): string {
  if (logFile === undefined || !existsSync(logFile)) return "";
  const lines = readFileSync(logFile, "utf8").trim().split("\n").slice(-count);
  return `; ${logFile} ends:\n${lines.join("\n")}`;
}

/** Opens a child's log for appending; a log that grew large is kept once as `.1`. Close it after the spawn. */
export function openLog(path: string): number {
  if (existsSync(path) && statSync(path).size > LOG_BYTES_MAX) renameSync(path, `${path}.1`);
  return openSync(path, "a", 0o600);
}

export interface NodeChild {
  readonly script: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly environment: Readonly<Record<string, string>>;
  /** true: a channel to the supervisor, by which the child says it is ready and learns of the supervisor's end. */
  readonly channel: boolean;
  readonly nodeFlags?: readonly string[];
  /** The network namespace it runs in, where it is not this machine's own. */
  readonly namespace?: string | null;
}

/** A Node process in a group of its own, so that Ctrl-C in the terminal reaches the supervisor alone. */
export function spawnNode(wanted: NodeChild): ChildProcess {
  const { script, args, logFile, environment, channel, nodeFlags = [], namespace = null } = wanted;
  const log = openLog(logFile);
  const command = [process.execPath, "--disable-warning=ExperimentalWarning", ...nodeFlags, script, ...args];
  // nsenter becomes the command: pid, group and channel are as without it.
  const entered = namespace === null ? command : ["nsenter", `--net=${NAMESPACES_DIR}/${namespace}`, ...command];
  const [program = "", ...rest] = entered;
  const child = spawn(program, rest, {
    stdio: channel ? ["ignore", log, log, "ipc"] : ["ignore", log, log],
    detached: true,
    env: { ...process.env, ...environment },
  });
  closeSync(log);
  return child;
}

/** Resolves at the child's first `ready` message. */
export function untilReadyMessage<Message extends { readonly kind: "ready" }>(
  child: ChildProcess,
  onReady: (message: Message) => void,
): Promise<void> {
  return new Promise((resolve) => {
    child.on("message", (message: Message) => {
      if (message.kind !== "ready") return;
      onReady(message);
      resolve();
    });
  });
}
