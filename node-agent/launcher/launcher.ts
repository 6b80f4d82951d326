// The launcher: keeps the node's agent running, and takes it back to the one before when a new one does not come back.
// It is never upgraded by itself, so it does as little as it can, and knows no network and no key.
import { type ChildProcess, spawn } from "node:child_process";
import { type Bundle, type LaunchState, readLaunchState, sha256Of, writeLaunchState } from "./launch-state.ts";

export interface LauncherOptions {
  /** The agent's folder. */
  readonly dir: string;
  /** The bundle that was installed with the launcher. */
  readonly installed: string;
  /** Of the agent. */
  readonly args: readonly string[];
  readonly trialMs: number;
}

/** A new agent that ends this often before its first acknowledged heartbeat is taken back. */
const TRIAL_ENDS_MAX = 2;
const RESTART_MIN_MS = 100;
const RESTART_MAX_MS = 5_000;
/** From SIGTERM to SIGKILL for an agent on trial; it has nothing to finish. */
const GRACE_MS = 5_000;
/** … and for one that is told to leave: what it has in hand is stored by then, unless it hangs. */
const LEAVE_MS = 10_000;
const WHY_MAX = 300;

interface Ended {
  readonly how: string;
  /** It had a heartbeat acknowledged. */
  readonly heard: boolean;
  readonly late: boolean;
}

/** Resolves when it was told to end and the agent has. */
export async function launch(options: LauncherOptions, until: AbortSignal): Promise<void> {
  let failures = 0;
  let trialEnds = 0;
  while (!until.aborted) {
    const state = settle(options);
    const ended = await runOnce(options, state, until);
    if (until.aborted) return;
    // It made way for another one, which lies ready.
    if (readLaunchState(options.dir)?.current.sha256 !== state.current.sha256) {
      failures = 0;
      trialEnds = 0;
      continue;
    }
    if (state.attempt !== null && !ended.heard) {
      trialEnds += 1;
      if (ended.late || trialEnds >= TRIAL_ENDS_MAX) revert(options, state, ended.how);
      continue;
    }
    failures = ended.heard ? 0 : failures + 1;
    say(`the agent ended (${ended.how}); it is started again`);
    await pause(Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** failures), until);
  }
}

/** What is to be started: bytes that are not what they were (a disk that failed, a hand in the folder) are not. */
function settle({ dir, installed }: LauncherOptions): LaunchState {
  const own = sha256Of(installed);
  if (own === null) throw new Error(`${installed} cannot be read: install the agent again`);
  const known = readLaunchState(dir);
  const base: Bundle = { path: installed, version: null, sha256: own };
  const fresh: LaunchState = { installed: own, current: base, previous: null, attempt: null, reverted: null };
  if (known === null || known.installed !== own) return stored(dir, fresh);
  if (sha256Of(known.current.path) === known.current.sha256) return known;
  say(`${known.current.path} does not have the bytes that it should`);
  const { previous } = known;
  const whole = previous !== null && sha256Of(previous.path) === previous.sha256 ? previous : base;
  return stored(dir, { ...backTo(known, whole, "its bundle on the disk is damaged"), installed: own });
}

function stored(dir: string, state: LaunchState): LaunchState {
  writeLaunchState(dir, state);
  return state;
}

function backTo(state: LaunchState, bundle: Bundle, why: string): LaunchState {
  const { attempt, current } = state;
  const reverted = attempt === null ? state.reverted : { attempt, version: current.version, why };
  return { ...state, current: bundle, previous: null, attempt: null, reverted };
}

function revert({ dir, installed }: LauncherOptions, state: LaunchState, why: string): void {
  const { previous, current } = state;
  const base: Bundle = { path: installed, version: null, sha256: state.installed };
  const whole = previous !== null && sha256Of(previous.path) === previous.sha256 ? previous : base;
  say(`agent ${current.version ?? current.path} is taken back: ${why}`);
  writeLaunchState(dir, backTo(state, whole, why));
}

async function runOnce(options: LauncherOptions, state: LaunchState, until: AbortSignal): Promise<Ended> {
  const { dir, args, trialMs } = options;
  const child = spawn(process.execPath, [...process.execArgv, state.current.path, ...args], {
    stdio: ["ignore", "inherit", "pipe", "ipc"],
    env: { ...process.env, BERTH_LAUNCHER: "1" },
  });
  const lastLine = tee(child);
  let heard = false;
  let late = false;
  child.on("message", (message) => {
    if ((message as { kind?: unknown }).kind !== "heard" || heard) return;
    heard = true;
    if (state.attempt !== null) writeLaunchState(dir, { ...state, attempt: null });
  });
  const trial = setTimeout(() => {
    if (state.attempt === null || heard) return;
    late = true;
    void end(child);
  }, trialMs);
  const onAbort = () => void end(child, LEAVE_MS);
  until.addEventListener("abort", onAbort);
  const how = await endOf(child);
  until.removeEventListener("abort", onAbort);
  clearTimeout(trial);
  const waited = `no heartbeat was acknowledged within ${Math.round(trialMs / 1_000)} s`;
  const why = late ? waited : heard ? how : `it ended before its first acknowledged heartbeat: ${how}`;
  const line = lastLine();
  return { how: `${why}${line === "" ? "" : `; it said: ${line}`}`.slice(0, WHY_MAX), heard, late };
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

async function end(child: ChildProcess, graceMs = GRACE_MS): Promise<void> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await endOf(child);
  clearTimeout(timer);
}

/** Passes on what it writes to stderr, and remembers what says most of an end: the error's own line, else the last one. */
function tee(child: ChildProcess): () => string {
  let tail = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    process.stderr.write(chunk);
    tail = `${tail}${chunk.toString()}`.slice(-4_000);
  });
  return () => {
    const lines = tail.split("\n").filter((line) => /\w/.test(line) && !line.startsWith("Node.js v"));
    return (lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? "").trim();
  };
}

function pause(ms: number, until: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    until.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function say(text: string): void {
  process.stderr.write(`berth launcher: ${text}\n`);
}
