// An operator's own cloudflared as a managed child: started where it does not run, started again when it dies, and outliving the agent.
import { spawn } from "node:child_process";
import { open, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import { backoffMs } from "../link/pause.ts";
import { readJsonFile, writeDurably } from "../state/durable-file.ts";
import { identifyProcess, isAlive, ProcessId, signal as send } from "../state/process-id.ts";
import type { ReachPorts, Way } from "./reach.ts";

const CLOUDFLARED_FILE = "cloudflared.json";
const PROGRAM = "cloudflared";
const READY_TIMEOUT_MS = 1_000;
const RESTART_MIN_MS = 500;
const RESTART_MAX_MS = 30_000;

/** metricsPort: where it answers `/ready`, on the loopback. tokenFile: what it was started with. */
const Running = z.object({ process: ProcessId, metricsPort: z.int(), tokenFile: z.string() });

export class Cloudflared implements Way {
  readonly #tokenFile: string;
  readonly #ports: ReachPorts;
  #failures = 0;
  #nextStartMs = 0;
  #trouble: string | null = "cloudflared was not looked at yet";

  constructor(tokenFile: string, ports: ReachPorts) {
    this.#tokenFile = tokenFile;
    this.#ports = ports;
  }

  get trouble(): string | null {
    return this.#trouble;
  }

  async look(): Promise<void> {
    try {
      const running = await runningIn(this.#ports.dir);
      if (running !== null && running.tokenFile === this.#tokenFile) {
        this.#trouble = await isReady(running.metricsPort);
        if (this.#trouble === null) this.#failures = 0;
        return;
      }
      if (performance.now() < this.#nextStartMs) return;
      await endCloudflared(this.#ports.dir);
      this.#failures += 1;
      this.#nextStartMs = performance.now() + backoffMs(this.#failures, RESTART_MIN_MS, RESTART_MAX_MS, null);
      await this.#start();
      this.#trouble = "cloudflared was started just now";
    } catch (error) {
      this.#trouble = `cloudflared does not run: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  /** The token goes by the environment: arguments are everybody's to read. */
  async #start(): Promise<void> {
    const { dir, log } = this.#ports;
    const token = (await readFile(this.#tokenFile, "utf8")).trim();
    if (token === "") throw new Error(`${this.#tokenFile} is empty: it must hold the tunnel's token`);
    const metricsPort = await freePort();
    const output = await open(join(dir, "cloudflared.log"), "a", 0o600);
    try {
      const args = ["tunnel", "--no-autoupdate", "--metrics", `127.0.0.1:${metricsPort}`, "run"];
      const child = spawn(PROGRAM, args, {
        detached: true,
        stdio: ["ignore", output.fd, output.fd],
        env: { PATH: process.env.PATH, HOME: dir, TUNNEL_TOKEN: token },
      });
      await new Promise<void>((resolve, reject) => {
        child.once("spawn", resolve);
        child.once("error", (error) => reject(missing(error)));
      });
      child.unref();
      const known = await identifyProcess(child.pid as number);
      if (known === null) throw new Error("it ended at once; see cloudflared.log");
      const running = { process: known, metricsPort, tokenFile: this.#tokenFile };
      await writeDurably(join(dir, CLOUDFLARED_FILE), JSON.stringify(running satisfies z.infer<typeof Running>));
      log.info({ pid: child.pid }, "cloudflared started");
    } finally {
      await output.close();
    }
  }
}

/** For `purge`, and where the node is reached in another way now. */
export async function endCloudflared(dir: string): Promise<void> {
  const running = await runningIn(dir);
  if (running !== null) await send(running.process, "SIGTERM");
  await rm(join(dir, CLOUDFLARED_FILE), { force: true });
}

async function runningIn(dir: string): Promise<z.infer<typeof Running> | null> {
  const known = await readJsonFile(join(dir, CLOUDFLARED_FILE), Running).catch(() => null);
  return known !== null && (await isAlive(known.process)) ? known : null;
}

/** null: it has connections to Cloudflare (https://developers.cloudflare.com, tunnel metrics: `/ready` answers 200 then). */
async function isReady(metricsPort: number): Promise<string | null> {
  try {
    const answer = await fetch(`http://127.0.0.1:${metricsPort}/ready`, {
      signal: AbortSignal.timeout(READY_TIMEOUT_MS),
    });
    await answer.body?.cancel();
    return answer.ok ? null : `cloudflared has no connection to Cloudflare (${answer.status}); see cloudflared.log`;
  } catch (error) {
    return `cloudflared does not say whether it is ready: ${error instanceof Error ? error.message : String(error)}`;
  }
}

const missing = (error: Error): Error =>
  (error as NodeJS.ErrnoException).code === "ENOENT"
    ? new Error("it is not installed: put cloudflared into the PATH, or choose --reach relay")
    : error;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
