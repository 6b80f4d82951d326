// What could keep a self-hosted platform from running on this machine, looked at before anything is made.
import { accessSync, constants, existsSync, realpathSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { FILES, portsOf, type Ports, type Settings } from "../../../self-hosted/install/layout.ts";
import { CommandFailure, EXIT } from "../../failure.ts";

const ANSWER_WITHIN_MS = 2_000;
const SYSTEMD = "/etc/systemd/system";
const OTHERS_ENTER = 0o001;

/** This user must be able to write there, and the units' own users to come by. */
export function checkFolder(folder: string): void {
  const nearest = existing(folder);
  if (!may(nearest, constants.W_OK | constants.X_OK))
    throw new CommandFailure(
      `${thisUser()} may not write in ${nearest}, which belongs to user ${statSync(nearest).uid}`,
      EXIT.failed,
      "Run it as that user or as root, or give --self-hosted another folder.",
    );
  const secrets = join(folder, FILES.secrets);
  if (existsSync(secrets) && !may(secrets, constants.R_OK))
    throw new CommandFailure(
      `${thisUser()} may not read ${secrets}, which belongs to user ${statSync(secrets).uid}`,
      EXIT.failed,
      "Run it as the user that set the platform up, or as root. Nothing was changed.",
    );
  const closed = closedTo(dirname(folder));
  if (closed !== null)
    throw new CommandFailure(
      `${closed} lets no other users in, and the platform runs as users of its own`,
      EXIT.failed,
      "Give --self-hosted another folder, such as /opt/berth.",
    );
}

/** The companion runs with the Node that runs this. */
export function nodeNotes(nodeBinary: string): string[] {
  const closed = closedTo(dirname(nodeBinary));
  if (closed === null) return [];
  return [
    `${nodeBinary} runs the companion, and ${closed} lets no other users in: install Node for all users, and run this with it.`,
  ];
}

/** A port may be taken by the platform itself, where its folder says that it is there. */
export async function checkPorts(folder: string, settings: Settings, kept: Settings | null): Promise<void> {
  const ports = portsOf(settings);
  if (kept?.port === settings.port && isLinked(folder)) return;
  const ours = kept?.port === settings.port ? await answering(ports) : new Set<keyof Ports>();
  for (const [name, port] of Object.entries(ports) as [keyof Ports, number][]) {
    if (ours.has(name) || !(await isTaken(port))) continue;
    throw new CommandFailure(
      `Port ${port} of 127.0.0.1, for ${PURPOSES[name]}, is taken by another program`,
      EXIT.failed,
      `Give --port the first of four that are free together; \`ss -ltnp sport = :${port}\` says whose it is.`,
    );
  }
}

const PURPOSES: Readonly<Record<keyof Ports, string>> = {
  control: "the API",
  edge: "visitors",
  clock: "the clock",
  adapter: "the database adapter",
};

/** systemd holds its ports then, whether it answers or not. */
function isLinked(folder: string): boolean {
  const link = join(SYSTEMD, basename(FILES.platformSocket));
  return existsSync(link) && realpathSync(link) === realpathSync(join(folder, FILES.platformSocket));
}

async function answering({ control, adapter }: Ports): Promise<Set<keyof Ports>> {
  const [platform, companion] = await Promise.all([
    saysOk(`http://127.0.0.1:${control}/healthz`),
    saysOk(`http://127.0.0.1:${adapter}/health`),
  ]);
  return new Set([
    ...(platform ? (["control", "edge", "clock"] as const) : []),
    ...(companion ? ["adapter" as const] : []),
  ]);
}

async function saysOk(url: string): Promise<boolean> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) }).catch(() => null);
  const body: unknown = await answer?.json().catch(() => null);
  return typeof body === "object" && body !== null && "ok" in body && body.ok === true;
}

function isTaken(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") return resolve(true);
      if (error.code !== "EACCES") return reject(error);
      reject(
        new CommandFailure(
          `Port ${port} is open to root alone`,
          EXIT.usage,
          "Give --port one from 1024 on: the platform does not run as root.",
        ),
      );
    });
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(false)));
  });
}

const thisUser = (): string => `${userInfo().username} (user ${process.getuid?.() ?? "unknown"})`;

function existing(path: string): string {
  return existsSync(path) ? path : existing(dirname(path));
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** The first folder on the way that others may not enter. */
function closedTo(folder: string): string | null {
  const above = dirname(folder) === folder ? null : closedTo(dirname(folder));
  if (above !== null) return above;
  return existsSync(folder) && (statSync(folder).mode & OTHERS_ENTER) === 0 ? folder : null;
}
