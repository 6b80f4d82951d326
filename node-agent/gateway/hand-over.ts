// One gateway or ingress process hands its ports to the next: the listening sockets themselves are passed on, so that no connection that
// waits in their queues is lost; what a gateway has counted goes with them.
import { type ChildProcess, spawn } from "node:child_process";
import { open } from "node:fs/promises";
import type { Server } from "node:net";
import { z } from "zod";
import { GatewayInstanceCounters } from "../endpoint-file.ts";
import type { Counters } from "./counters.ts";

/** `POST /hand-over` on the gateway's socket: what to start. Answered once that one serves, or with 500 and why it does not. */
export const HandOver = z.object({ program: z.string(), args: z.array(z.string()) });
export type HandOver = z.infer<typeof HandOver>;

/** Where the next one finds the listening sockets: from the first descriptor after its standard ones on. */
const LISTEN_FD = 3;
const START_TIMEOUT_MS = 10_000;
const COUNTERS_MS = 1_000;

/** From the gateway that goes to the one that comes; and back: it serves. */
const Inherited = z.object({ startId: z.string(), instances: z.array(GatewayInstanceCounters) });
const SERVES = "serves";

export interface HandingOver {
  /** What it is, for whoever is told that it does not come up: gateway, ingress. */
  readonly what: string;
  /** What the next one writes to. */
  readonly logPath: string;
  readonly servers: readonly Server[];
  /** The arguments that tell it of the sockets; descriptors: as in servers. */
  readonly flags: (descriptors: readonly number[]) => readonly string[];
}

/** The next gateway, which hears every second what is still counted here, and at the end once more. */
export interface Next {
  tellLast(): Promise<void>;
}

/** Resolves once the next one serves. Throws when it does not come up. */
export async function startNext({ program, args }: HandOver, handing: HandingOver): Promise<ChildProcess> {
  const descriptors = handing.servers.map(descriptorOf);
  const flags = handing.flags(descriptors.map((_descriptor, at) => LISTEN_FD + at));
  const log = await open(handing.logPath, "a", 0o600);
  const { signal, abort } = timeout();
  try {
    const next = spawn(program, [...args, ...flags], {
      detached: true,
      stdio: ["ignore", log.fd, log.fd, ...descriptors, "ipc"],
    });
    try {
      await untilServes(next, handing.what, signal);
    } catch (error) {
      next.kill("SIGKILL");
      throw error;
    }
    next.unref();
    next.channel?.unref();
    return next;
  } finally {
    abort();
    await log.close();
  }
}

function descriptorOf(server: Server): number {
  const descriptor = (server as unknown as { _handle?: { fd?: number } })._handle?.fd;
  if (descriptor === undefined || descriptor < 0) throw new Error("the listening socket cannot be passed on here");
  return descriptor;
}

function timeout(): { signal: AbortSignal; abort: () => void } {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), START_TIMEOUT_MS);
  return { signal: late.signal, abort: () => clearTimeout(timer) };
}

function untilServes(next: ChildProcess, what: string, late: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const how = (code: number | null, signal: string | null) => signal ?? `exit code ${code}`;
    next.once("error", reject);
    next.once("exit", (code, signal) => reject(new Error(`the next ${what} ended with ${how(code, signal)}`)));
    next.on("message", (message) => message === SERVES && resolve());
    late.addEventListener("abort", () =>
      reject(new Error(`the next ${what} did not serve within ${START_TIMEOUT_MS / 1_000} s`)),
    );
  });
}

/** For as long as this process drains. */
export function tellCounters(next: ChildProcess, counters: Counters): Next {
  const tell = (): Promise<void> =>
    new Promise((resolve) => {
      if (!next.connected) return resolve();
      next.send({ startId: counters.startId, instances: counters.list() }, () => resolve());
    });
  void tell();
  setInterval(() => void tell(), COUNTERS_MS).unref();
  return { tellLast: tell };
}

/** In the next gateway: hears what the one before has counted and counts on. Does nothing where nobody handed over. */
export function takeOver(counters: Counters): void {
  if (process.send === undefined) return;
  process.on("message", (message) => {
    const told = Inherited.safeParse(message);
    if (told.success) counters.inherit(told.data.startId, told.data.instances);
  });
  sayServes();
}

/** To whom it takes over from, if it does. */
export function sayServes(): void {
  process.on("disconnect", () => undefined);
  process.channel?.unref();
  process.send?.(SERVES);
}
