// Runs a systemd unit that the set-up wrote as systemd would: its environment, its command, its folders, its sockets. Not its hardening.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

export interface RunningUnit {
  /** Ends its process as `systemctl restart` does; the next one is started with the same sockets. */
  restart(): void;
  stop(): Promise<void>;
}

/** stateDir stands for /var/lib. */
export function startUnit(unitPath: string, stateDir: string): RunningUnit {
  const all = valuesOf(unitPath);
  mkdirSync(stateDir, { recursive: true });
  for (const folder of all("StateDirectory").flatMap((text) => text.split(" ")))
    mkdirSync(join(stateDir, folder), { recursive: true });
  const command = (all("ExecStart")[0] ?? "").replaceAll("%S", stateDir).replaceAll("%%", "%");
  const pidFile = join(stateDir, `${basename(unitPath)}.pid`);
  // Read at every start, as systemd does.
  const files = all("EnvironmentFile").map((path) => `. ${path}; `);
  const script = [
    "set -a",
    ...all("Environment"),
    `while :; do ${files.join("")}${command} & echo $! > ${pidFile}; wait $!; sleep 0.1; done`,
  ];
  const scriptPath = join(stateDir, `${basename(unitPath)}.sh`);
  writeFileSync(scriptPath, `${script.join("\n")}\n`);
  const socketPath = unitPath.replace(/\.service$/, ".socket");
  const listened = existsSync(socketPath) ? valuesOf(socketPath)("ListenStream") : [];
  const run = ["sh", scriptPath];
  const [program = "", ...args] =
    listened.length === 0
      ? run
      : ["systemd-socket-activate", ...listened.flatMap((address) => ["-l", address]), ...run];
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"], detached: true });
  return {
    restart: () => process.kill(Number(readFileSync(pidFile, "utf8")), "SIGTERM"),
    async stop() {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      process.kill(-child.pid, "SIGTERM");
      await ended;
    },
  };
}

function valuesOf(path: string): (key: string) => string[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return (key) => lines.flatMap((line) => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []));
}
