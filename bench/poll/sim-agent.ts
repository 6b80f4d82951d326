// One simulated node: real keys, enrolment, polls and heartbeats; instead of containers it says at once that they are ready.
import { Agent, request } from "node:http";
import type { z } from "zod";
import {
  AGENT_PROTOCOL,
  CREDENTIAL_SCHEME,
  PROOF_HEADER,
  type EnrolRequest,
  type EnrolResponse,
  type HeartbeatRequest,
  type HeartbeatResponse,
  type ObservedInstance,
  type PollResponse,
} from "../../contracts/agent-protocol.ts";
import type { DesiredDocument } from "../../contracts/desired.ts";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import { Signer } from "./signer.ts";

/** An answer older than this when its poll was sent was not waited for: it was found on connecting. */
const HELD_AT_LEAST_MS = 20;
/** As the agent does it. */
const TIMEOUT_MS = { poll: AGENT_LIMITS.pollTimeoutMs, heartbeat: AGENT_LIMITS.heartbeatTimeoutMs, ask: 30_000 };
const RETRY_MS = 300;
const DIGEST = `sha256:${"0".repeat(64)}`;
const GIB = 1024 ** 3;

/** What happened to all agents of a process, since it was last asked. */
export interface Counts {
  /** Control plane's moment of the wake-up → the answer here, in milliseconds. */
  wakes: number[];
  heartbeatMs: number[];
  /** 204s, and documents that were newer already when the poll came. */
  pollsTimedOut: number;
  pollsAnsweredAtOnce: number;
  failures: Record<string, number>;
}

export interface AgentWish {
  readonly controlUrl: string;
  readonly name: string;
  readonly failureDomain: string;
  readonly region: string;
  readonly gatewayUrl: string;
  readonly counts: Counts;
}

const connections = new Agent({ keepAlive: true, maxSockets: Infinity });

export class SimAgent {
  readonly #wish: AgentWish;
  readonly #signer = new Signer();
  #credential: string | null = null;
  #revision = 0;
  #observed: ObservedInstance[] = [];
  #timer: NodeJS.Timeout | null = null;
  #beating = false;
  #changed = false;
  #stopped = false;

  constructor(wish: AgentWish) {
    this.#wish = wish;
  }

  async enrol(token: string): Promise<string> {
    const { name, failureDomain, region, gatewayUrl } = this.#wish;
    const body: z.input<typeof EnrolRequest> = {
      ...{ protocol: AGENT_PROTOCOL, token, name, failureDomain, region, gatewayUrl, labels: {} },
      signKey: this.#signer.signKey,
      sealKey: this.#signer.sealKey,
      capacity: { cpuMilli: 16_000, memoryBytes: 64 * GIB, diskBytes: 1024 * GIB, pids: 32_768 },
      runtime: "docker",
      platform: "linux/amd64",
      agentVersion: "bench",
    };
    const { status, text } = await this.#post("ask", "/agent/v1/enrol", body);
    if (status !== 201) throw new Error(`enrolment answered ${status}: ${text.slice(0, 300)}`);
    const { credential, cell } = JSON.parse(text) as EnrolResponse;
    this.#credential = credential;
    return cell;
  }

  /** Beats and polls until it is stopped; the first of each somewhere within the first beat. */
  start(): void {
    this.#beatIn(Math.random() * AGENT_LIMITS.heartbeatMs);
    setTimeout(() => void this.#pollForEver(), Math.random() * AGENT_LIMITS.heartbeatMs);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    connections.destroy();
  }

  async #pollForEver(): Promise<void> {
    const { counts } = this.#wish;
    while (!this.#stopped) {
      const sentAtMs = preciseNow();
      try {
        const body = { protocol: AGENT_PROTOCOL, ackRevision: this.#revision };
        const { status, text, atMs } = await this.#post("poll", "/agent/v1/poll", body);
        if (status === 204) counts.pollsTimedOut += 1;
        else if (status === 200) this.#take(JSON.parse(text) as PollResponse, sentAtMs, atMs);
        else throw new Error(`poll ${status}`);
      } catch (error) {
        this.#failed(error);
        await new Promise((resolve) => setTimeout(resolve, AGENT_LIMITS.pollBackoffMinMs * (1 + Math.random())));
      }
    }
  }

  #take({ desired, nowMs }: PollResponse, sentAtMs: number, atMs: number): void {
    const { counts } = this.#wish;
    if (sentAtMs < nowMs - HELD_AT_LEAST_MS) counts.wakes.push(atMs - nowMs);
    else counts.pollsAnsweredAtOnce += 1;
    if (desired.revision <= this.#revision) return;
    this.#revision = desired.revision;
    const before = this.#observed.map(({ instance }) => instance).join();
    this.#observed = desired.instances.map((instance) => ready(instance, nowMs));
    if (this.#observed.map(({ instance }) => instance).join() !== before) this.#change();
  }

  #change(): void {
    if (this.#beating) this.#changed = true;
    else this.#beatIn(AGENT_LIMITS.heartbeatCoalesceMs);
  }

  #beatIn(delayMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#beat(), delayMs);
  }

  async #beat(): Promise<void> {
    const { heartbeatMs, heartbeatJitterMs, heartbeatCoalesceMs } = AGENT_LIMITS;
    let nextMs: number | null = null;
    this.#beating = true;
    this.#changed = false;
    const sentAtMs = preciseNow();
    const body: HeartbeatRequest = {
      ...{ protocol: AGENT_PROTOCOL, ackRevision: this.#revision, agentVersion: "bench", observed: this.#observed },
      used: { cpuMilli: 100, memoryBytes: GIB, diskBytes: GIB },
      gatewayReady: true,
      watched: [],
      metering: [],
      conditions: [],
      notices: [],
      images: [],
    };
    try {
      const { status, text, atMs } = await this.#post("heartbeat", "/agent/v1/heartbeat", body);
      if (status !== 200) throw new Error(`heartbeat ${status}`);
      void (JSON.parse(text) as HeartbeatResponse);
      this.#wish.counts.heartbeatMs.push(atMs - sentAtMs);
    } catch (error) {
      this.#failed(error);
      nextMs = RETRY_MS;
    }
    this.#beating = false;
    const jitterMs = (Math.random() * 2 - 1) * heartbeatJitterMs;
    nextMs ??= Math.max(0, heartbeatMs + jitterMs - (preciseNow() - sentAtMs));
    this.#beatIn(this.#changed ? heartbeatCoalesceMs : nextMs);
  }

  #failed(error: unknown): void {
    if (this.#stopped) return;
    const { failures } = this.#wish.counts;
    const name = error instanceof Error ? error.message : String(error);
    failures[name] = (failures[name] ?? 0) + 1;
  }

  /** A kept connection may have been closed by the other side while it was idle: one more try, with a fresh proof. */
  async #post(lane: Lane, path: string, value: unknown): Promise<Answered> {
    try {
      return await this.#postOnce(lane, path, value);
    } catch (error) {
      if (!(error instanceof Stale)) throw error;
      return this.#postOnce(lane, path, value);
    }
  }

  #postOnce(lane: Lane, path: string, value: unknown): Promise<Answered> {
    const body = JSON.stringify(value);
    const headers: Record<string, string> = {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      [PROOF_HEADER]: this.#signer.proof(lane, path, body),
    };
    if (this.#credential !== null) headers.authorization = `${CREDENTIAL_SCHEME} ${this.#credential}`;
    return exchange(new URL(path, this.#wish.controlUrl), headers, body, TIMEOUT_MS[lane]);
  }
}

type Lane = keyof typeof TIMEOUT_MS;
/** It went out on a kept connection and was reset. */
class Stale extends Error {}

interface Answered {
  readonly status: number;
  readonly text: string;
  readonly atMs: number;
}

function exchange(url: URL, headers: Record<string, string>, body: string, timeoutMs: number): Promise<Answered> {
  return new Promise((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      asked.destroy(new Error(`no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    const asked = request(url, { method: "POST", agent: connections, headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text, atMs: preciseNow() }));
      answer.on("error", reject);
    });
    asked.on("close", () => clearTimeout(timer));
    asked.on("error", (error) => reject(asked.reusedSocket && !late ? new Stale(error.message) : error));
    asked.end(body);
  });
}

function ready(instance: DesiredDocument["instances"][number], sinceMs: number): ObservedInstance {
  const { app, generation } = instance;
  const status = { kind: "ready" } as const;
  return { instance: instance.instance, generation, app, status, restarts: 0, digest: DIGEST, sinceMs };
}

/** Milliseconds since the epoch with fractions, of the host's clock. */
function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}
