// A raw TCP connection to an instance, for a peer that may have one: bytes both ways after a 101, until either side is done.
import { connect, type Socket } from "node:net";
import type { EndpointInstance } from "../endpoint-file.ts";
import { errorAnswer, statusOf } from "./answers.ts";
import type { InstanceTally } from "./counters.ts";
import type { Edge, Gateway, Serving } from "./serving.ts";

const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: berth-tcp\r\n\r\n";

export class RawTunnel implements Serving {
  readonly #edge: Edge;
  readonly #gateway: Gateway;
  readonly #instance: EndpointInstance;
  readonly #tally: InstanceTally;
  readonly #upstream: Socket;
  readonly #startedAtMs = performance.now();
  #activeAtMs = this.#startedAtMs;
  #phase: "dialing" | "open" | "over" = "dialing";

  /** port: the instance's own, or one that it holds on its node. */
  constructor(edge: Edge, gateway: Gateway, instance: EndpointInstance, port: number) {
    this.#edge = edge;
    this.#gateway = gateway;
    this.#instance = instance;
    this.#tally = gateway.counters.of(instance);
    this.#tally.open++;
    this.#upstream = connect({ host: instance.host, port, noDelay: true, keepAlive: true });
    this.#upstream.on("connect", () => this.#opened());
    this.#upstream.on("data", (bytes: Buffer) => this.#heard(bytes));
    this.#upstream.on("drain", () => this.#edge.resumeReading());
    this.#upstream.on("error", (error) => this.#ended(error.message));
    this.#upstream.on("end", () => this.#ended("the app closed the connection"));
    this.#upstream.on("close", () => this.#ended("the app closed the connection"));
  }

  #opened(): void {
    if (this.#phase !== "dialing") return;
    this.#phase = "open";
    this.#tally.answered(101, performance.now() - this.#startedAtMs, false);
    this.#edge.write(SWITCHED);
    this.#edge.resumeReading();
  }

  #heard(bytes: Buffer): void {
    if (this.#phase !== "open") return;
    this.#activeAtMs = this.#gateway.nowMs;
    this.#tally.bytesOut += bytes.length;
    if (!this.#edge.write(bytes)) this.#upstream.pause();
  }

  onEdgeData(bytes: Buffer, from: number): number {
    this.#activeAtMs = this.#gateway.nowMs;
    this.#tally.bytesIn += bytes.length - from;
    if (!this.#upstream.write(bytes.subarray(from))) this.#edge.pauseReading();
    return bytes.length;
  }

  onEdgeDrain(): void {
    this.#upstream.resume();
  }

  /** Also while it is dialled: what was said goes out first. */
  onEdgeEnd(): void {
    this.#upstream.end();
  }

  onEdgeGone(): void {
    if (!this.#over()) return;
    this.#upstream.destroySoon();
  }

  #ended(why: string): void {
    const dialing = this.#phase === "dialing";
    if (!this.#over()) return;
    this.#upstream.destroy();
    if (dialing) {
      this.#tally.answered(statusOf("connect_failed"), performance.now() - this.#startedAtMs, false);
      this.#edge.write(errorAnswer("connect_failed", why, 0, false));
    }
    this.#edge.served(false, null);
  }

  /** False: it was already. */
  #over(): boolean {
    if (this.#phase === "over") return false;
    this.#phase = "over";
    this.#tally.open--;
    return true;
  }

  sweep(nowMs: number): void {
    const { dialTimeoutMs, streamIdleMs } = this.#gateway.limits;
    const { http } = this.#instance;
    const patienceMs =
      this.#phase === "dialing" ? (http?.connectTimeoutMs ?? dialTimeoutMs) : (http?.idleTimeoutMs ?? streamIdleMs);
    if (nowMs - this.#activeAtMs > patienceMs) this.#ended("the app's port did not accept a connection in time");
  }
}
