// The filter table of this host as iptables shows it, and changes to it that take effect all at once or not at all.
import { spawn } from "node:child_process";
import type { Family } from "./ranges.ts";

const COMMANDS: Readonly<Record<Family, string>> = { v4: "iptables", v6: "ip6tables" };
/** Others hold the table's lock for milliseconds. */
const LOCK_WAIT_S = 5;
const COMMAND_TIMEOUT_MS = 15_000;
/** A host with thousands of containers has some megabytes of rules. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** iptables is not there, may not be used, or refused. */
export class TablesFailed extends Error {}

/** Rules by chain, each without its `-A CHAIN`. A chain that is there and empty has none. */
export type Table = ReadonlyMap<string, readonly string[]>;

export async function readTable(family: Family): Promise<Table> {
  const table = new Map<string, string[]>();
  for (const line of (await run(`${COMMANDS[family]}-save`, ["-t", "filter"], "")).split("\n")) {
    const chain = /^:(\S+) /.exec(line)?.[1];
    if (chain !== undefined) table.set(chain, []);
    const rule = /^-A (\S+) (.*)$/.exec(line);
    if (rule !== null) table.get(rule[1] ?? "")?.push(rule[2] ?? "");
  }
  return table;
}

/** lines: as iptables-restore reads them, of the filter table. Nothing that they do not name changes. */
export async function restore(family: Family, lines: readonly string[]): Promise<void> {
  const text = ["*filter", ...lines, "COMMIT", ""].join("\n");
  await run(`${COMMANDS[family]}-restore`, ["--noflush", "--wait", String(LOCK_WAIT_S)], text);
}

function run(command: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "pipe", timeout: COMMAND_TIMEOUT_MS });
    const chunks: Buffer[] = [];
    let bytes = 0;
    let complaint = "";
    child.stdout.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > OUTPUT_BYTES_MAX) child.kill("SIGKILL");
      else chunks.push(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => (complaint = `${complaint}${chunk.toString()}`.slice(-1_000)));
    child.once("error", (error) => reject(new TablesFailed(`${command}: ${error.message}`)));
    child.once("close", (code, signal) => {
      if (code === 0) return resolve(Buffer.concat(chunks).toString());
      const why = complaint.trim().split("\n").at(0) ?? "";
      reject(new TablesFailed(`${command} ended with ${code ?? signal}: ${why}`));
    });
    // It may have ended before it read any of it.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}
