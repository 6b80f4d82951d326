// The ingress process of a node that is to be one: started detached, adopted after our own restart, started again when it is dead.
import { spawn } from "node:child_process";
import { open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { z } from "zod";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { INGRESS_LOG, INGRESS_SOCKET } from "../../ingress/hand-over.ts";
import { DoorClient } from "../gateway-child/door-client.ts";
import { pause } from "../link/pause.ts";
import type { IngressPlace } from "./ingress-options.ts";
import { writeAtomically } from "../state/durable-file.ts";
import { INGRESS_LEAVING_PREFIX, INGRESS_PID_FILE } from "../state/pid-files.ts";
import { livingOwner, signal, waitForEnd } from "../state/process-id.ts";
import { AGENT_VERSION } from "../version.ts";

/** Where it listens: one that listens elsewhere is ended. */
const INGRESS_PLACE_FILE = "ingress.place";
const Version = z.object({ version: z.string() });
const RESTART_MS = 1_000;
const END_MS = 35_000;

export class IngressChild {
  readonly #dir: string;
  readonly #place: IngressPlace;
  readonly #limits: AgentLimits;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #door: DoorClient;
  #askAgainAtMs = 0;
  #wasSilent = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(dir: string, place: IngressPlace, limits: AgentLimits, log: Logger) {
    this.#dir = dir;
    this.#place = place;
    this.#limits = limits;
    this.#log = log;
    this.#door = new DoorClient(join(dir, INGRESS_SOCKET));
  }

  start(): void {
    this.#loop = this.#watch().catch((error: unknown) => {
      this.#log.error({ error: String(error) }, "the ingress is not looked after any more");
    });
  }

  /** Ends the watch; the ingress runs on. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    this.#door.close();
  }

  async #watch(): Promise<void> {
    const path = join(this.#dir, INGRESS_PLACE_FILE);
    const told = JSON.stringify(this.#place);
    // Other ports: nothing of it can be handed over.
    if ((await readFile(path, "utf8").catch(() => "")) !== told) await endIngress(this.#dir);
    await writeAtomically(path, told);
    while (!this.#stop.signal.aborted) {
      if ((await livingOwner(join(this.#dir, INGRESS_PID_FILE))) === null) {
        await this.#spawn();
        await pause(RESTART_MS, this.#stop.signal);
      } else await this.#replaceOlder();
      await pause(this.#limits.gatewayWatchMs, this.#stop.signal);
    }
  }

  /** One of another version is asked to hand its ports over; one that cannot, from before hand-overs, is ended with its drain. */
  async #replaceOlder(): Promise<void> {
    if (performance.now() < this.#askAgainAtMs) return;
    const version = await this.#door.ask("GET", "/version").then(
      (answer) => Version.parse(answer).version,
      () => null,
    );
    if (version === AGENT_VERSION) return;
    this.#askAgainAtMs = performance.now() + this.#limits.handOverRetryMs;
    // It may be starting yet; one that still says nothing then never will.
    if (version === null && !this.#wasSilent) return void (this.#wasSilent = true);
    if (version === null) return endIngress(this.#dir);
    try {
      await this.#door.handOver({ program: process.execPath, args: this.#arguments() });
      this.#log.info({ from: version, to: AGENT_VERSION }, "the ingress is handed over");
    } catch (error) {
      this.#log.warn({ from: version, why: String(error) }, "the ingress is not handed over");
    }
  }

  #arguments(): string[] {
    const { host, tlsPort, plainPort, certificates } = this.#place;
    const flags = ["--dir", this.#dir, "--ingress", `${tlsPort},${plainPort}`, "--ingress-host", host];
    if (certificates !== null) flags.push("--ingress-certificates", certificates);
    return [...process.execArgv, process.argv[1] as string, "ingress", ...flags];
  }

  async #spawn(): Promise<void> {
    const log = await open(join(this.#dir, INGRESS_LOG), "w", 0o600);
    try {
      const child = spawn(process.execPath, this.#arguments(), { detached: true, stdio: ["ignore", log.fd, log.fd] });
      child.once("error", (error) => this.#log.error({ error: error.message }, "the ingress could not be started"));
      child.unref();
      this.#log.info({ pid: child.pid, ...this.#place }, "ingress started");
    } finally {
      await log.close();
    }
  }
}

/** Without one: nothing. Its visitors get its drain; of one that handed over they have had it. */
export async function endIngress(dir: string): Promise<void> {
  for (const name of await readdir(dir).catch(() => [])) {
    if (!name.startsWith(INGRESS_LEAVING_PREFIX)) continue;
    const leaving = await livingOwner(join(dir, name));
    if (leaving !== null) await signal(leaving, "SIGKILL");
    await rm(join(dir, name), { force: true });
  }
  const owner = await livingOwner(join(dir, INGRESS_PID_FILE));
  if (owner === null) return;
  await signal(owner, "SIGTERM");
  if (!(await waitForEnd(owner, END_MS))) await signal(owner, "SIGKILL");
}
