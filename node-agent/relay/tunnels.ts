// The connections that nodes keep to this gateway: one per node, the newest; and the streams on them, each a connection to that node.
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { NodeId } from "../../contracts/ids.ts";
import { InstanceTally } from "../gateway/counters.ts";
import type { GatewayLimits } from "../gateway/limits.ts";
import { DIAL_AGAIN, SESSION_OPTIONS, tend, TO_GATEWAY } from "./http2.ts";
import { RelayedUpstream } from "./relayed-upstream.ts";

export interface Tunnel {
  readonly node: NodeId;
  readonly session: ClientHttp2Session;
  /** What is open on it; its own gateway counts what is billed. */
  readonly tally: InstanceTally;
  /** Streams between two requests. */
  readonly idle: RelayedUpstream[];
}

/** Streams cost next to nothing to open; a few are kept because they cost nothing to keep. */
const IDLE_MAX = 64;

export class Tunnels {
  readonly #limits: GatewayLimits;
  readonly #held = new Map<NodeId, Tunnel>();
  readonly #all = new Set<ClientHttp2Session>();
  /** When a node's last connection ended: it dials again at once if it lives. */
  readonly #lostAtMs = new Map<NodeId, number>();
  readonly #waiting = new Map<NodeId, Set<() => void>>();
  readonly #sinceMs = performance.now();
  readonly #expected = new Set<NodeId>();

  constructor(limits: GatewayLimits) {
    this.#limits = limits;
  }

  /** carrier: what the node dialled, after its 101, with nothing more read from it. */
  adopt(node: NodeId, carrier: Duplex): void {
    const session = connect("http://relayed", { ...SESSION_OPTIONS, createConnection: () => carrier });
    const tunnel: Tunnel = { node, session, tally: new InstanceTally(), idle: [] };
    const before = this.#held.get(node);
    this.#held.set(node, tunnel);
    this.#all.add(session);
    this.#lostAtMs.delete(node);
    this.#expected.add(node);
    const over = (): void => this.#over(tunnel);
    session.once("close", () => {
      this.#all.delete(session);
      over();
    });
    session.once("goaway", over);
    session.on("error", () => session.destroy());
    // The gateway's sockets stay half open for the sake of HTTP/1.1: a node that has ended its side is gone.
    carrier.once("end", () => session.destroy());
    session.once("connect", () => tend(session, this.#limits));
    // A node has one connection here: what is open on the older one ends by itself.
    for (const kept of before?.idle.splice(0) ?? []) kept.socket.destroySoon();
    before?.session.close();
    for (const told of this.#waiting.get(node) ?? []) told();
  }

  /** null: it has no connection here. */
  of(node: NodeId): Tunnel | null {
    return this.#held.get(node) ?? null;
  }

  nodes(): NodeId[] {
    return [...this.#held.keys()];
  }

  /** Whether it had one, here or at the gateway before this one. */
  isExpected(node: NodeId): boolean {
    return this.#expected.has(node);
  }

  expect(nodes: readonly NodeId[]): void {
    for (const node of nodes) this.#expected.add(node);
  }

  /**
   * The same, but a node that may be dialling just now is waited for: this gateway has just taken over from another one, or the
   * node's connection broke this very moment.
   */
  async soon(node: NodeId): Promise<Tunnel | null> {
    const leftMs = this.#leftMs(node);
    if (this.#held.has(node) || leftMs <= 0) return this.of(node);
    const waiting = this.#waiting.get(node) ?? new Set();
    this.#waiting.set(node, waiting);
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(late);
        waiting.delete(done);
        if (waiting.size === 0) this.#waiting.delete(node);
        resolve();
      };
      const late = setTimeout(done, leftMs);
      waiting.add(done);
    });
    return this.of(node);
  }

  #leftMs(node: NodeId): number {
    const sinceMs = Math.max(this.#sinceMs, this.#lostAtMs.get(node) ?? -Infinity);
    return sinceMs + this.#limits.relayWaitMs - performance.now();
  }

  /** For one request: a kept stream, or a fresh one (which may fail, and says so as a connection does). */
  take(tunnel: Tunnel, isFresh: boolean, nowMs: number): RelayedUpstream {
    while (!isFresh) {
      const kept = tunnel.idle.pop();
      if (kept === undefined) break;
      if (kept.usable && nowMs - kept.idleSinceMs < this.#limits.upstreamIdleUnsafeMs) return kept;
      kept.socket.destroySoon();
    }
    return new RelayedUpstream(openStream(tunnel.session, TO_GATEWAY));
  }

  put(tunnel: Tunnel, upstream: RelayedUpstream, nowMs: number): void {
    upstream.user = null;
    upstream.reused = true;
    upstream.idleSinceMs = nowMs;
    if (!upstream.usable || tunnel.idle.length >= IDLE_MAX || tunnel.session.closed) upstream.socket.destroySoon();
    else tunnel.idle.push(upstream);
  }

  /** Ends streams that nobody needed for a while. */
  prune(nowMs: number): void {
    for (const { idle } of this.#held.values()) {
      while (idle[0] !== undefined && nowMs - idle[0].idleSinceMs > this.#limits.upstreamIdleMs)
        idle.shift()?.socket.destroySoon();
    }
    for (const [node, atMs] of this.#lostAtMs) if (nowMs - atMs > this.#limits.relayWaitMs) this.#lostAtMs.delete(node);
  }

  /** The nodes dial anew, and reach whoever listens here now. What comes to this process still has its way to them. */
  release(): void {
    for (const { session } of this.#held.values()) {
      const asked = openStream(session, DIAL_AGAIN);
      asked?.on("error", () => undefined);
      asked?.end();
    }
  }

  destroy(): void {
    for (const session of this.#all) session.destroy();
  }

  #over(tunnel: Tunnel): void {
    for (const kept of tunnel.idle.splice(0)) kept.socket.destroySoon();
    if (this.#held.get(tunnel.node) !== tunnel) return;
    this.#held.delete(tunnel.node);
    this.#lostAtMs.set(tunnel.node, performance.now());
  }
}

/** A session that is about to end refuses: null, a stream that has ended already. */
function openStream(session: ClientHttp2Session, to: string): ClientHttp2Stream | null {
  try {
    return session.request({ ":method": "CONNECT", ":authority": to }, { endStream: false });
  } catch {
    return null;
  }
}
