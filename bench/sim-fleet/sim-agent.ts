// One simulated node: real keys, enrolment, polls and heartbeats; instead of containers it says at once that they are ready.
import type { z } from "zod";
import {
  AGENT_PROTOCOL,
  type EnrolRequest,
  type EnrolResponse,
  type HeartbeatRequest,
  type HeartbeatResponse,
  type ObservedInstance,
  type PollResponse,
} from "../../contracts/agent-protocol.ts";
import type { DesiredDocument } from "../../contracts/desired.ts";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import { Refused as RefusedOnSocket } from "../../node-agent/agent/link/control.ts";
import { monotonicMs } from "../../node-agent/agent/link/control-clock.ts";
import { inTime } from "../../node-agent/agent/link/in-time.ts";
import { backoffMs } from "../../node-agent/agent/link/pause.ts";
import { AgentSocket } from "../../node-agent/agent/link/socket.ts";
import { preciseNow } from "./clock.ts";
import type { Counts, Transport } from "./counts.ts";
import { Homecoming } from "./homecoming.ts";
import { Signer } from "./signer.ts";
import { Refused, SimRequests } from "./sim-requests.ts";
import { SimUpgrade, type UpgradeWish } from "./sim-upgrade.ts";

/** An answer older than this when its poll was sent was not waited for: it was found on connecting. */
const HELD_AT_LEAST_MS = 20;
/** As the agent's heartbeat does it: sooner where it heard nothing, at the next beat where it was refused by name. */
const TRIES_PER_BEAT = 4;
const QUICK_TRIES_MAX = 20;
const DIGEST = `sha256:${"0".repeat(64)}`;
const GIB = 1024 ** 3;

export interface AgentWish {
  readonly transport: Transport;
  readonly controlUrl: string;
  readonly name: string;
  readonly failureDomain: string;
  readonly region: string;
  readonly gatewayUrl: string;
  readonly counts: Counts;
  /** Absent: it knows no upgrades. */
  readonly upgrade?: UpgradeWish;
}

export class SimAgent {
  readonly homecoming = new Homecoming();
  readonly upgrade: SimUpgrade | null;
  #down = false;
  readonly #wish: AgentWish;
  readonly #signer = new Signer();
  readonly #requests: SimRequests;
  #revision = 0;
  #observed: ObservedInstance[] = [];
  #timer: NodeJS.Timeout | null = null;
  #beating = false;
  #changed = false;
  /** Heartbeats in a row that were not answered. */
  #failures = 0;
  #stopped = false;
  readonly #socket: AgentSocket | null;
  /** Ends the waiting for what the socket is to become. */
  #turned: () => void = () => {};
  #socketSinceMs = 0;

  constructor(wish: AgentWish) {
    this.#wish = wish;
    this.#requests = new SimRequests(wish.controlUrl, this.#signer);
    this.#socket = wish.transport === "http" ? null : this.#makeSocket();
    const ports = {
      fetch: (sha256: string) => this.#requests.get(`/agent/v1/agents/${sha256}`),
      restart: (downMs: number) => this.#restart(downMs),
      changed: () => this.#change(),
    };
    this.upgrade = wish.upgrade ? new SimUpgrade(wish.upgrade, ports) : null;
  }

  #makeSocket(): AgentSocket {
    const silent = () => {};
    return new AgentSocket({
      control: {
        upgrade: async (path) => ({
          url: new URL(path, this.#wish.controlUrl),
          headers: this.#requests.headers("socket", path, "", "GET"),
        }),
        nextSeq: (lane) => this.#signer.nextSeq(lane),
        renew: async () => {},
      },
      clock: { nowMs: () => Date.now(), hear: silent },
      limits: AGENT_LIMITS,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      revision: () => this.#revision,
      // What came with the opening is no wake-up.
      accept: async (desired, nowMs) =>
        this.#take({ revision: desired.revision, desired, nowMs }, this.#socketSinceMs, preciseNow()),
      turned: () => this.#socketTurned(),
    });
  }

  #socketTurned(): void {
    this.#turned();
    if (this.#socket?.isThere !== true) return this.homecoming.socket(null);
    this.#wish.counts.sockets += 1;
    this.#socketSinceMs = preciseNow();
    this.homecoming.socket(this.#socketSinceMs);
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
      agentVersion: this.upgrade?.version ?? "bench",
    };
    const { status, text } = await this.#requests.post("ask", "/agent/v1/enrol", body);
    if (status !== 201) throw new Error(`enrolment answered ${status}: ${text.slice(0, 300)}`);
    const { credential, cell } = JSON.parse(text) as EnrolResponse;
    this.#requests.credential = credential;
    return cell;
  }

  /** Beats and polls until it is stopped; the first of each somewhere within the first beat. */
  start(): void {
    this.#beatIn(Math.random() * AGENT_LIMITS.heartbeatMs);
    setTimeout(() => void this.#pollForEver(), Math.random() * AGENT_LIMITS.heartbeatMs);
    this.#socket?.start();
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.stop();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #pollForEver(): Promise<void> {
    const { counts } = this.#wish;
    const { pollBackoffMinMs, pollBackoffMaxMs } = AGENT_LIMITS;
    for (let failures = 0; !this.#stopped;) {
      while (this.#down) await new Promise((resolve) => setTimeout(resolve, 20));
      if (this.#socket?.isThere) {
        await new Promise<void>((resolve) => (this.#turned = resolve));
        await this.#standAside();
        continue;
      }
      const sentAtMs = preciseNow();
      try {
        const body = { protocol: AGENT_PROTOCOL, ackRevision: this.#revision };
        this.homecoming.pollSent(sentAtMs);
        const { status, text, atMs } = await this.#requests.ask("poll", "/agent/v1/poll", body);
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

  /** Until it has had no socket for so long, or has one again. */
  async #standAside(): Promise<void> {
    const { pollAsideMs } = AGENT_LIMITS;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, backoffMs(1, pollAsideMs, 2 * pollAsideMs, null));
      this.#turned = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take({ desired, nowMs }: PollResponse, sentAtMs: number, atMs: number): void {
    const { counts } = this.#wish;
    if (sentAtMs < nowMs - HELD_AT_LEAST_MS) counts.wakes.push(atMs - nowMs);
    else counts.pollsAnsweredAtOnce += 1;
    if (desired.revision <= this.#revision) return;
    this.#revision = desired.revision;
    this.upgrade?.consider(desired.agent);
    const before = this.#observed.map(({ instance }) => instance).join();
    this.#observed = desired.instances.map((instance) => ready(instance, nowMs));
    if (this.#observed.map(({ instance }) => instance).join() !== before) this.#change();
  }

  /** Silent for as long as its process would be away; what "runs" on the node runs on. */
  async #restart(downMs: number): Promise<void> {
    this.#down = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await new Promise((resolve) => setTimeout(resolve, downMs));
    this.#signer.restart();
    this.#down = false;
    this.#beatIn(0);
  }

  #change(): void {
    if (this.#beating) this.#changed = true;
    else this.#beatIn(AGENT_LIMITS.heartbeatCoalesceMs);
  }

  #beatIn(delayMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#stopped || this.#down) return;
    this.#timer = setTimeout(() => void this.#beat(), delayMs);
  }

  async #beat(): Promise<void> {
    const { heartbeatMs, heartbeatJitterMs, heartbeatCoalesceMs, heartbeatTimeoutMs } = AGENT_LIMITS;
    let nextMs: number;
    this.#beating = true;
    await this.#socket?.settled();
    this.#changed = false;
    const jitterMs = (Math.random() * 2 - 1) * heartbeatJitterMs;
    const sentAtMs = preciseNow();
    try {
      await inTime(this.#beatOnce(sentAtMs), heartbeatTimeoutMs);
      this.#failures = 0;
      nextMs = this.#changed ? heartbeatCoalesceMs : Math.max(0, heartbeatMs + jitterMs - (preciseNow() - sentAtMs));
    } catch (error) {
      this.#failed(error, sentAtMs);
      const refused = error instanceof Refused && (error.answer.status < 500 || error.code === "overloaded");
      this.#failures += 1;
      const spacedMs = this.#failures <= QUICK_TRIES_MAX ? 0 : heartbeatMs + jitterMs - (preciseNow() - sentAtMs);
      nextMs = refused ? heartbeatMs : Math.max(heartbeatMs / TRIES_PER_BEAT, spacedMs);
    }
    this.#beating = false;
    this.#beatIn(nextMs);
  }

  /** Also one that is answered after its time-out counts, beside those that follow it. */
  async #beatOnce(sentAtMs: number): Promise<void> {
    const { counts } = this.#wish;
    const askedAtMs = monotonicMs();
    const overSocket = this.#socket?.beat(this.#report()) ?? null;
    let atMs: number;
    if (overSocket === null) {
      const answer = await this.#requests
        .ask("heartbeat", "/agent/v1/heartbeat", this.#report())
        .catch((error: unknown) => {
          if (error instanceof Refused && error.code === "overloaded") this.#socket?.busyOverHttp();
          throw error;
        });
      void (JSON.parse(answer.text) as HeartbeatResponse);
      atMs = answer.atMs;
      this.#socket?.heardOverHttp(askedAtMs);
    } else {
      await overSocket.catch((error: unknown) => {
        if (error instanceof RefusedOnSocket) throw new Refused("heartbeat", error, error.code ?? "unknown");
        throw error;
      });
      atMs = preciseNow();
      counts.socketBeats += 1;
    }
    this.homecoming.beatAnswered(atMs);
    counts.heartbeatMs.push(atMs - sentAtMs);
  }

  #report(): HeartbeatRequest {
    return {
      ...{
        protocol: AGENT_PROTOCOL,
        ackRevision: this.#revision,
        agentVersion: this.upgrade?.version ?? "bench",
        observed: this.#observed,
      },
      used: { cpuMilli: 100, memoryBytes: GIB, diskBytes: GIB },
      gatewayReady: true,
      ...{ watched: [], metering: [], conditions: [], notices: [], images: [] },
      ...(this.upgrade === null ? {} : { agent: this.upgrade.report() }),
    };
  }

  #failed(error: unknown, sentAtMs: number): void {
    if (this.#stopped) return;
    this.homecoming.failed(sentAtMs, error instanceof Refused);
    const { failures } = this.#wish.counts;
    const name = error instanceof Error ? error.message : String(error);
    failures[name] = (failures[name] ?? 0) + 1;
  }
}

function ready(instance: DesiredDocument["instances"][number], sinceMs: number): ObservedInstance {
  const { app, generation } = instance;
  const status = { kind: "ready" } as const;
  return { instance: instance.instance, generation, app, status, restarts: 0, digest: DIGEST, sinceMs };
}
