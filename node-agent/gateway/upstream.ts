// Connections to the apps, or to other nodes' gateways: one pool per place, so that no connection ever serves two instances.
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { writeInBatch } from "./batch.ts";
import type { Sink } from "./body-out.ts";
import type { EndpointInstance } from "../endpoint-file.ts";
import type { GatewayLimits } from "./limits.ts";

/** What an exchange wants to hear from its connection. The pool itself listens while nobody does. */
export interface UpstreamUser {
  /** bytes: to be used now. True when some of it was handed to a write that has not ended: its memory is not read into again. */
  onUpstreamData(bytes: Buffer): boolean;
  onUpstreamDrain(): void;
  /** The app ended its side, or the connection broke; at most once. */
  onUpstreamEnd(error: Error | null): void;
}

/** A connection that an exchange sends its request on. */
export interface Onward extends Sink {
  readonly socket: { pause(): unknown; resume(): unknown; destroySoon(): void; destroy(): unknown };
  user: UpstreamUser | null;
  readonly reused: boolean;
  readonly connected: boolean;
  idleMaxMs: number;
}

/** Holds most answers; one that fills it is a stream, and read in larger pieces from then on. */
const READ_BYTES = 8 * 1024;
const STREAM_READ_BYTES = 64 * 1024;

/** Where a connection leads. key: names it, and nothing else ever. servername: TLS is spoken there, under this name. */
export interface Place {
  readonly key: string;
  readonly host: string;
  readonly port: number;
  readonly servername?: string;
}

export class Upstream implements Onward {
  readonly place: Place;
  readonly socket: Socket;
  user: UpstreamUser | null = null;
  /** Whether it has carried a request before: only then can it have gone stale. */
  reused = false;
  idleSinceMs = 0;
  /** From the app's `keep-alive: timeout=`. */
  idleMaxMs: number;
  /** Until then nothing has been sent, whatever was written. */
  connected = false;
  #ended = false;
  /** Read into again and again: memory for each read costs more than the read. */
  #buffer = Buffer.allocUnsafeSlow(READ_BYTES);

  constructor(place: Place, idleMaxMs: number) {
    this.place = place;
    this.idleMaxMs = idleMaxMs;
    const onread = {
      buffer: () => this.#buffer,
      callback: (length: number) => {
        this.#onRead(length);
        return true;
      },
    };
    const { host, port, servername } = place;
    const how = { host, port, noDelay: true, keepAlive: true, onread };
    this.socket =
      servername === undefined
        ? connect(how)
        : connectTls({ ...how, servername })
            .setNoDelay()
            .setKeepAlive(true);
    // Without a listener for data nobody asks for its end.
    this.socket.resume();
    this.socket.on(servername === undefined ? "connect" : "secureConnect", () => (this.connected = true));
    this.socket.on("drain", () => this.user?.onUpstreamDrain());
    this.socket.on("error", (error) => this.#end(error));
    this.socket.on("end", () => this.#end(null));
    this.socket.on("close", () => this.#end(null));
  }

  #onRead(length: number): void {
    const { user } = this;
    if (user === null) return void this.socket.destroy();
    const full = length === this.#buffer.length;
    const inUse = user.onUpstreamData(this.#buffer.subarray(0, length));
    if (full && length < STREAM_READ_BYTES) this.#buffer = Buffer.allocUnsafeSlow(STREAM_READ_BYTES);
    else if (inUse) this.#buffer = Buffer.allocUnsafeSlow(this.#buffer.length);
  }

  #end(error: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    const user = this.user;
    if (user === null) this.socket.destroy();
    else user.onUpstreamEnd(error);
  }

  write(data: string | Buffer): boolean {
    return typeof data === "string" ? writeInBatch(this.socket, data) : this.socket.write(data);
  }

  cork(): void {
    this.socket.cork();
  }

  uncork(): void {
    this.socket.uncork();
  }

  get usable(): boolean {
    return !this.#ended && !this.socket.destroyed;
  }
}

export class UpstreamPool {
  readonly #limits: GatewayLimits;
  readonly #idle = new Map<string, Upstream[]>();

  constructor(limits: GatewayLimits) {
    this.#limits = limits;
  }

  /** A pooled connection that was idle for less than idleMs, else a new one (which may still be connecting). */
  take(place: Place, idleMs: number, nowMs: number): Upstream {
    const idle = this.#idle.get(place.key);
    for (let upstream = idle?.at(-1); upstream !== undefined; upstream = idle?.at(-1)) {
      const idleForMs = nowMs - upstream.idleSinceMs;
      if (upstream.usable && idleForMs >= idleMs && idleForMs < upstream.idleMaxMs) break;
      idle?.pop();
      if (upstream.usable && idleForMs < upstream.idleMaxMs) return upstream;
      upstream.socket.destroy();
    }
    return this.dial(place);
  }

  dial(place: Place): Upstream {
    return new Upstream(place, this.#limits.upstreamIdleMs);
  }

  put(upstream: Upstream, nowMs: number): void {
    upstream.user = null;
    upstream.reused = true;
    upstream.idleSinceMs = nowMs;
    const { key } = upstream.place;
    let idle = this.#idle.get(key);
    if (idle === undefined) this.#idle.set(key, (idle = []));
    if (!upstream.usable || idle.length >= this.#limits.upstreamIdlePerInstanceMax) upstream.socket.destroy();
    else idle.push(upstream);
  }

  /** Closes what has been idle for too long, and all of instances that are no more or have moved. */
  prune(live: ReadonlySet<string>, nowMs: number): void {
    for (const [key, idle] of this.#idle) {
      const kept = idle.filter((upstream) => {
        const keep = live.has(key) && upstream.usable && nowMs - upstream.idleSinceMs < upstream.idleMaxMs;
        if (!keep) upstream.socket.destroy();
        return keep;
      });
      if (kept.length === 0) this.#idle.delete(key);
      else this.#idle.set(key, kept);
    }
  }

  close(): void {
    this.prune(new Set(), Infinity);
  }
}

/** An address alone would let a connection outlive its instance and serve the next one at the same address. */
export function placeOf(at: EndpointInstance): Place {
  let place = places.get(at);
  if (place === undefined) {
    const { instance, generation, host, port } = at;
    places.set(at, (place = { key: `${instance}/${generation} ${host}:${port}`, host, port }));
  }
  return place;
}

const places = new WeakMap<EndpointInstance, Place>();
