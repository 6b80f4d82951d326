// One simulated node: real keys, enrolment, polls and heartbeats; instead of containers it says at once that they are ready.
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
import { inTime } from "../../node-agent/agent/link/in-time.ts";
import { backoffMs } from "../../node-agent/agent/link/pause.ts";
import { preciseNow } from "./clock.ts";
import { exchange, Stale, type Answered } from "./exchange.ts";
import { Homecoming } from "./homecoming.ts";
import { Signer } from "./signer.ts";

/** An answer older than this when its poll was sent was not waited for: it was found on connecting. */
const HELD_AT_LEAST_MS = 20;
/** As the agent does it. */
const TIMEOUT_MS = { poll: AGENT_LIMITS.pollTimeoutMs, heartbeat: AGENT_LIMITS.heartbeatGiveUpMs, ask: 30_000 };
/** As the agent's heartbeat does it: sooner where it heard nothing, at the next beat where it was refused by name. */
const TRIES_PER_BEAT = 4;
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

type Lane = keyof typeof TIMEOUT_MS;

/** The control plane answered, and said no. */
class Refused extends Error {
  readonly answer: Answered;
  readonly code: string;
  constructor(lane: Lane, answer: Answered) {
    const code = /"code":"([a-z_]+)"/.exec(answer.text)?.[1] ?? "unknown";
    super(`${lane} ${answer.status} ${code}`);
    this.answer = answer;
    this.code = code;
  }
}

export class SimAgent {
  readonly homecoming = new Homecoming();
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
  }

  async #pollForEver(): Promise<void> {
    const { counts } = this.#wish;
    const { pollBackoffMinMs, pollBackoffMaxMs } = AGENT_LIMITS;
    for (let failures = 0; !this.#stopped;) {
      const sentAtMs = preciseNow();
      try {
        const body = { protocol: AGENT_PROTOCOL, ackRevision: this.#revision };
        this.homecoming.pollSent(sentAtMs);
        const { status, text, atMs } = await this.#askFor("poll", "/agent/v1/poll", body);
        this.homecoming.pollAnswered(sentAtMs);
        if (status === 204) counts.pollsTimedOut += 1;
        else this.#take(JSON.parse(text) as PollResponse, sentAtMs, atMs);
        failures = 0;
      } catch (error) {
        failures += 1;
        this.#failed(error, sentAtMs);
        const retryAfterMs = error instanceof Refused ? error.answer.retryAfterMs : null;
        const waitMs = backoffMs(failures, pollBackoffMinMs, pollBackoffMaxMs, retryAfterMs);
        await new Promise((resolve) => setTimeout(resolve, waitMs));
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
    const { heartbeatMs, heartbeatJitterMs, heartbeatCoalesceMs, heartbeatTimeoutMs } = AGENT_LIMITS;
    let nextMs: number;
    this.#beating = true;
    this.#changed = false;
    const sentAtMs = preciseNow();
    try {
      await inTime(this.#beatOnce(sentAtMs), heartbeatTimeoutMs);
      const jitterMs = (Math.random() * 2 - 1) * heartbeatJitterMs;
      nextMs = this.#changed ? heartbeatCoalesceMs : Math.max(0, heartbeatMs + jitterMs - (preciseNow() - sentAtMs));
    } catch (error) {
      this.#failed(error, sentAtMs);
      const refused = error instanceof Refused && (error.answer.status < 500 || error.code === "overloaded");
      nextMs = refused ? heartbeatMs : heartbeatMs / TRIES_PER_BEAT;
    }
    this.#beating = false;
    this.#beatIn(nextMs);
  }

  /** Also one that is answered after its time-out counts, beside those that follow it. */
  async #beatOnce(sentAtMs: number): Promise<void> {
    const { text, atMs } = await this.#askFor("heartbeat", "/agent/v1/heartbeat", this.#report());
    void (JSON.parse(text) as HeartbeatResponse);
    this.homecoming.beatAnswered(atMs);
    this.#wish.counts.heartbeatMs.push(atMs - sentAtMs);
  }

  #report(): HeartbeatRequest {
    return {
      ...{ protocol: AGENT_PROTOCOL, ackRevision: this.#revision, agentVersion: "bench", observed: this.#observed },
      used: { cpuMilli: 100, memoryBytes: GIB, diskBytes: GIB },
      gatewayReady: true,
      ...{ watched: [], metering: [], conditions: [], notices: [], images: [] },
    };
  }

  #failed(error: unknown, sentAtMs: number): void {
    if (this.#stopped) return;
    this.homecoming.failed(sentAtMs, error instanceof Refused);
    const { failures } = this.#wish.counts;
    const name = error instanceof Error ? error.message : String(error);
    failures[name] = (failures[name] ?? 0) + 1;
  }

  async #askFor(lane: Lane, path: string, value: unknown): Promise<Answered> {
    const answer = await this.#post(lane, path, value);
    if (answer.status !== 200 && answer.status !== 204) throw new Refused(lane, answer);
    return answer;
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

function ready(instance: DesiredDocument["instances"][number], sinceMs: number): ObservedInstance {
  const { app, generation } = instance;
  const status = { kind: "ready" } as const;
  return { instance: instance.instance, generation, app, status, restarts: 0, digest: DIGEST, sinceMs };
}
