// A WebSocket, once the app has switched to it: bytes both ways until either side is done, or its instance is leaving.
import { Farewell } from "./farewell.ts";
import type { Edge, Serving, Station } from "./serving.ts";
import type { Onward, UpstreamUser } from "./upstream.ts";
import type { Way } from "./way.ts";

export class WebSocketTunnel implements Serving, UpstreamUser {
  readonly #edge: Edge;
  readonly #station: Station;
  readonly #way: Way;
  readonly #upstream: Onward;
  readonly #farewell = new Farewell();
  #activeAtMs = performance.now();
  #over = false;

  /** It counts as open already; the upstream's events are its own from here on. */
  constructor(edge: Edge, station: Station, way: Way, upstream: Onward) {
    this.#edge = edge;
    this.#station = station;
    this.#way = way;
    this.#upstream = upstream;
    upstream.user = this;
  }

  /** Not before now: nothing is timed out early. */
  #moved(): void {
    this.#activeAtMs = this.#station.nowMs + this.#station.limits.sweepMs;
  }

  onEdgeData(bytes: Buffer, from: number): number {
    this.#moved();
    this.#way.tally.bytesIn += bytes.length - from;
    if (!this.#upstream.write(from === 0 ? bytes : bytes.subarray(from))) this.#edge.pauseReading();
    return bytes.length;
  }

  onUpstreamData(bytes: Buffer): boolean {
    this.#moved();
    const passed = this.#farewell.pass(bytes);
    this.#way.tally.bytesOut += passed?.length ?? 0;
    if (passed !== null && !this.#edge.write(passed)) this.#upstream.socket.pause();
    return this.#edge.holdsBytes;
  }

  onUpstreamDrain(): void {
    this.#edge.resumeReading();
  }

  onEdgeDrain(): void {
    this.#upstream.socket.resume();
  }

  onUpstreamEnd(): void {
    if (!this.#ended()) return;
    this.#upstream.socket.destroy();
    this.#edge.served(false, null);
  }

  onEdgeGone(): void {
    if (this.#ended()) this.#upstream.socket.destroySoon();
  }

  /** False: it was already. */
  #ended(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#way.tally.open--;
    this.#upstream.user = null;
    return true;
  }

  sweep(nowMs: number): void {
    const { endpoints, limits } = this.#station;
    const said = this.#farewell.look(this.#way.leave(), endpoints.controlNowMs(), nowMs);
    if (said !== null) this.#edge.write(said);
    // As if the app had hung up.
    if (nowMs - (this.#farewell.saidAtMs ?? Infinity) > limits.farewellMs) return this.onUpstreamEnd();
    if (nowMs - this.#activeAtMs <= (this.#way.http?.idleTimeoutMs ?? limits.streamIdleMs)) return;
    if (this.#ended()) this.#upstream.socket.destroySoon();
    this.#edge.abort();
  }
}
