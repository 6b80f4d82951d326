// Runs the real `berth` command as a child process, as a user's shell would.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const BIN = fileURLToPath(new URL("../../cli/bin/berth.mjs", import.meta.url));

export interface Ran {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Record<string, string>;
  readonly stdin?: string;
}

/** No terminal, and nothing of this process's own settings for berth. */
export function runBerth(args: readonly string[], options: RunOptions): Promise<Ran> {
  return beginBerth(args, options).ended;
}

/** For commands that wait: what they said so far, and their end. */
export function beginBerth(
  args: readonly string[],
  options: RunOptions,
): {
  readonly said: { readonly stdout: string; readonly stderr: string };
  readonly ended: Promise<Ran>;
  readonly stop: () => void;
} {
  const env = { ...process.env, HOME: options.cwd, XDG_CONFIG_HOME: options.cwd, NO_COLOR: "1", ...options.env };
  const child = spawn(process.execPath, [BIN, ...args], { cwd: options.cwd, env });
  const out = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (out.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (out.stderr += chunk.toString()));
  child.stdin.end(options.stdin ?? "");
  const stop = () => void child.kill("SIGTERM");
  return {
    said: out,
    stop,
    ended: new Promise((resolve) => child.on("close", (exitCode) => resolve({ exitCode, ...out }))),
  };
}
