// Runs the real `berth` command as a child process, as a user's shell would.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const BIN = fileURLToPath(new URL("../../cli/bin/berth.mjs", import.meta.url));

export interface Ran {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** No terminal, and nothing of this process's own settings for berth. */
export function runBerth(
  args: readonly string[],
  options: { cwd: string; env?: Record<string, string>; stdin?: string },
): Promise<Ran> {
  const env = { ...process.env, HOME: options.cwd, XDG_CONFIG_HOME: options.cwd, NO_COLOR: "1", ...options.env };
  const child = spawn(process.execPath, [BIN, ...args], { cwd: options.cwd, env });
  const out = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (out.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (out.stderr += chunk.toString()));
  child.stdin.end(options.stdin ?? "");
  return new Promise((resolve) => child.on("close", (exitCode) => resolve({ exitCode, ...out })));
}
