// Connections to the apps: one pool per instance, so that no connection ever serves two instances.
import { connect, type Socket } from "node:net";
import type { EndpointInstance } from "../endpoint-file.ts";
import type { GatewayLimits } from "./limits.ts";

/** What an exchange wants to hear from its connection. The pool itself listens while nobody does. */
export interface UpstreamUser {
  onUpstreamData(bytes: Buffer): void;
  onUpstreamDrain(): void;
  /** The app ended its side, or the connection broke; at most once. */
  onUpstreamEnd(error: Error | null): void;
}

export class Upstream {
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

  constructor(instance: EndpointInstance, idleMaxMs: number) {
    this.idleMaxMs = idleMaxMs;
    this.socket = connect({ host: instance.host, port: instance.port, noDelay: true, keepAlive: true });
    this.socket.on("connect", () => (this.connected = true));
    this.socket.on("data", (bytes) => (this.user === null ? this.socket.destroy() : this.user.onUpstreamData(bytes)));
    this.socket.on("drain", () => this.user?.onUpstreamDrain());
    this.socket.on("error", (error) => this.#end(error));
    this.socket.on("end", () => this.#end(null));
    this.socket.on("close", () => this.#end(null));
  }

  #end(error: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    const user = this.user;
    if (user === null) this.socket.destroy();
    else user.onUpstreamEnd(error);
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
  take(instance: EndpointInstance, idleMs: number, nowMs: number): Upstream {
    const idle = this.#idle.get(addressKey(instance));
    for (let upstream = idle?.at(-1); upstream !== undefined; upstream = idle?.at(-1)) {
      const idleForMs = nowMs - upstream.idleSinceMs;
      if (upstream.usable && idleForMs >= idleMs && idleForMs < upstream.idleMaxMs) break;
      idle?.pop();
      if (upstream.usable && idleForMs < upstream.idleMaxMs) return upstream;
      upstream.socket.destroy();
    }
    return this.dial(instance);
  }

  dial(instance: EndpointInstance): Upstream {
    return new Upstream(instance, this.#limits.upstreamIdleMs);
  }

  put(instance: EndpointInstance, upstream: Upstream, nowMs: number): void {
    upstream.user = null;
    upstream.reused = true;
    upstream.idleSinceMs = nowMs;
    const key = addressKey(instance);
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
export const addressKey = (at: EndpointInstance): string => `${at.instance}/${at.generation} ${at.host}:${at.port}`;
