// Nodes as the objects see them: they enrol, hold polls and send heartbeats. What they "run" is whatever they were told to.
import { env } from "cloudflare:workers";
import {
  AGENT_PROTOCOL,
  type HeartbeatRequest,
  type ObservedStatus,
  type PollResponse,
} from "../../contracts/agent-protocol.ts";
import type { ToAgent } from "../../contracts/agent-socket.ts";
import type { DesiredDocument } from "../../contracts/desired.ts";
import type { CellName, NodeId, RegionName } from "../../contracts/ids.ts";
import { ReleaseSpec } from "../../contracts/release.ts";
import type { CellSummary, NodeProof } from "../../core/messages.ts";
import { APP_A, nodeId, PROJECT_A, TEAM_A } from "./ids.ts";

const GIB = 1024 ** 3;
/** For what comes about at all: a busy machine takes its time. By the clock that no test stops. */
const COMES_WITHIN_MS = 60_000;
/** A node's clock is fast, as some are: a beat that a busy machine held up for seconds would be refused as too late to be answered. */
const FAST_MS = 20_000;

/** A hibernating socket's messages and end, as the Worker that holds it sees them. */
export class HeldSocket {
  readonly messages: string[] = [];
  closed: { code: number; reason: string } | null = null;
  readonly #socket: WebSocket;
  #changed: () => void = () => {};

  constructor(response: Response) {
    if (response.webSocket === null) throw new Error(`no socket: ${response.status}`);
    this.#socket = response.webSocket;
    this.#socket.accept();
    this.#socket.addEventListener("message", ({ data }) => {
      this.messages.push(String(data));
      this.#changed();
    });
    this.#socket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
      this.#changed();
    });
  }

  send(message: string): void {
    this.#socket.send(message);
  }

  close(): void {
    this.#socket.close(1000, "done");
  }

  /** What an agent's socket was told, of that kind and without having asked (id 0), or in answer to that id. */
  said(kind: string, id: number): ToAgent[] {
    const all = this.messages.map((text) => JSON.parse(text) as ToAgent);
    return all.filter((message) => {
      return message.id === id && (message.kind === "refused" ? message.of : message.kind) === kind;
    });
  }

  async answer(kind: string, id: number): Promise<ToAgent> {
    await this.until(() => this.said(kind, id).length > 0);
    return this.said(kind, id)[0]!;
  }

  /** Resolves once the condition holds. */
  async until(condition: (socket: HeldSocket) => boolean, withinMs = COMES_WITHIN_MS): Promise<this> {
    const untilMs = performance.now() + withinMs;
    while (!condition(this)) {
      if (performance.now() > untilMs)
        throw new Error(`nothing within ${withinMs} ms: ${JSON.stringify(this.messages)}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
        setTimeout(resolve, 20);
      });
    }
    return this;
  }
}

export const upgrade = { headers: { upgrade: "websocket" } };

export class FleetNode {
  readonly id: NodeId;
  readonly cell: CellName;
  readonly #jkt: string;
  #boot = "boot-0001";
  readonly #seqs = { poll: 0, heartbeat: 0, ask: 0, socket: 0 };
  desired: DesiredDocument | null = null;

  constructor(n: number, cell: string) {
    this.id = nodeId(n);
    this.cell = cell as CellName;
    this.#jkt = `thumbprint-${n}`;
  }

  get region(): RegionName {
    return regionOf(this.cell);
  }

  get stub() {
    return env.CELL.getByName(this.cell);
  }

  enrol(name = this.id.slice(-3)) {
    return this.stub.enrol({
      node: this.id,
      cell: this.cell,
      jkt: this.#jkt,
      operator: "user:operator",
      request: {
        protocol: AGENT_PROTOCOL,
        token: "join-token-of-a-test",
        name: `node-${name}`,
        signKey: "A".repeat(43),
        sealKey: "B".repeat(43),
        region: this.region,
        failureDomain: `rack-${name}`,
        labels: {},
        gatewayUrl: `http://127.0.0.1:1${name}`,
        capacity: { cpuMilli: 4_000, memoryBytes: 8 * GIB, diskBytes: 64 * GIB, pids: 4_096 },
        runtime: "docker",
        platform: "linux/amd64",
        agentVersion: "0.1.0",
      },
    });
  }

  proof(lane: NodeProof["lane"], seq?: number) {
    this.#seqs[lane] += 1;
    return { node: this.id, jkt: this.#jkt, boot: this.#boot, lane, seq: seq ?? this.#seqs[lane] };
  }

  restart(boot: string): void {
    this.#boot = boot;
    Object.assign(this.#seqs, { poll: 0, heartbeat: 0, ask: 0, socket: 0 });
  }

  /** Everything in the desired document has this status. */
  heartbeat(status: ObservedStatus = { kind: "ready" }, more: Partial<HeartbeatRequest> = {}) {
    return this.stub.heartbeat({ ...this.proof("heartbeat"), request: this.report(status, more) });
  }

  report(status: ObservedStatus = { kind: "ready" }, more: Partial<HeartbeatRequest> = {}): HeartbeatRequest {
    return {
      protocol: AGENT_PROTOCOL,
      ackRevision: this.desired?.revision ?? 0,
      agentVersion: "0.1.0",
      observed: (this.desired?.instances ?? []).map(({ instance, generation, app }) => ({
        instance,
        generation,
        app,
        status,
        restarts: 0,
        digest: null,
        sinceMs: Date.now(),
      })),
      used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 },
      gatewayReady: true,
      watched: [],
      metering: [],
      conditions: [],
      notices: [],
      images: [],
      ...more,
    };
  }

  /** The Cell's own answer: an agent's socket, or why not. */
  askForSocket(more: { ack?: number; seq?: number; expires?: number } = {}): Promise<Response> {
    const { node, jkt, boot, seq } = this.proof("socket", more.seq);
    const { ack = this.desired?.revision ?? 0, expires = Date.now() + 3_600_000 } = more;
    const query = { node, jkt, boot, seq: String(seq), ack: String(ack), expires: String(expires) };
    const url = `https://cell/socket?${new URLSearchParams(query)}`;
    return this.stub.fetch(url, upgrade) as unknown as Promise<Response>;
  }

  async socket(more: { ack?: number; expires?: number } = {}): Promise<HeldSocket> {
    return new HeldSocket(await this.askForSocket(more));
  }

  /** A heartbeat on that socket; resolves with what it is answered. */
  async beatOn(held: HeldSocket, more: { atMs?: number; id?: number; body?: object } = {}): Promise<ToAgent> {
    const { seq } = this.proof("heartbeat", more.id);
    held.send(JSON.stringify({ kind: "heartbeat", id: seq, atMs: Date.now() + FAST_MS, body: this.report(), ...more }));
    return held.answer("heartbeat", seq);
  }

  /** Asks on that socket for what is newer than it has. */
  async pollOn(held: HeldSocket, ackRevision = this.desired?.revision ?? 0): Promise<ToAgent> {
    const { seq } = this.proof("poll");
    held.send(JSON.stringify({ kind: "poll", id: seq, body: { protocol: AGENT_PROTOCOL, ackRevision } }));
    return held.answer("poll", seq);
  }

  async poll(ack = this.desired?.revision ?? 0): Promise<HeldSocket> {
    return new HeldSocket(await this.askToPoll(ack));
  }

  /** The Cell's own answer: a socket, or why not. */
  askToPoll(ack = 0, seq?: number): Promise<Response> {
    const { node, jkt, boot, seq: next } = this.proof("poll", seq);
    const query = new URLSearchParams({ node, jkt, boot, seq: String(next), ack: String(ack) });
    return this.stub.fetch(`https://cell/poll?${query}`, upgrade) as unknown as Promise<Response>;
  }

  /** Waits for a document above the one it has, and keeps it. */
  async receive(withinMs = COMES_WITHIN_MS): Promise<DesiredDocument> {
    const held = await (await this.poll()).until(({ messages }) => messages.length > 0, withinMs);
    const { desired } = JSON.parse(held.messages[0] ?? "") as PollResponse;
    this.desired = desired;
    return desired;
  }
}

/** A node that is enrolled and ready to take placements. */
export async function readyNode(n: number, cell: string): Promise<FleetNode> {
  const node = new FleetNode(n, cell);
  await node.enrol();
  await node.heartbeat();
  return node;
}

export const asked = { actor: "user:tester", idempotencyKey: null };

const regionOf = (cell: string): RegionName => cell.slice(0, cell.lastIndexOf(".")) as RegionName;

/** An app that runs in the region of this cell. */
export const identityOf = (app = APP_A, cell = "local.0") => ({
  app,
  team: TEAM_A,
  project: PROJECT_A,
  name: "hello",
  hostnames: [`${app.slice(-4)}.example.test`],
  regions: [regionOf(cell)],
});

export const releaseOf = (reference = "registry.example.test/hello:v1") => ({
  ...asked,
  spec: ReleaseSpec.parse({ source: { kind: "image", reference } }),
  privateImage: false,
});

/** Tries until it stops throwing: for what happens a few turns later. */
export async function eventually<Value>(
  look: () => Promise<Value> | Value,
  withinMs = COMES_WITHIN_MS,
): Promise<Value> {
  const untilMs = performance.now() + withinMs;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** What the Region tells Apps. */
export async function cellsIn(region: string): Promise<CellSummary[]> {
  const answer = await env.REGION.getByName(region).cells();
  if (!answer.ok) throw new Error(answer.failure.message);
  return JSON.parse(answer.value.itemsJson) as CellSummary[];
}
