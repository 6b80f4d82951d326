// One request and its answer: edge connection → app → edge connection, streamed both ways, and WebSockets after a 101.
import type { GatewayError } from "../../contracts/ticket.ts";
import type { EndpointInstance } from "../endpoint-file.ts";
import { Discard, errorAnswer, statusOf } from "./answers.ts";
import type { InstanceTally } from "./counters.ts";
import type { Framing } from "./framing.ts";
import { parseAnswerHead, type AnswerHead, type RequestHead } from "./head.ts";
import { answerFraming, answerText, ownLines, requestFraming, requestText, tunnelText } from "./heads-out.ts";
import type { Edge, Gateway, Serving } from "./serving.ts";
import type { Upstream, UpstreamUser } from "./upstream.ts";

/** Bodies up to this are joined to their head as one string: cheaper than two buffers, and one packet. */
const JOINED_BYTES_MAX = 8_192;
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);

export class Exchange implements Serving, UpstreamUser {
  readonly #edge: Edge;
  readonly #gateway: Gateway;
  readonly #head: RequestHead;
  readonly #instance: EndpointInstance;
  readonly #tally: InstanceTally;
  readonly #asked: Framing;
  readonly #replayable: boolean;
  readonly #startedAtMs = performance.now();
  #upstream: Upstream;
  #dialedAtMs = 0;
  #activeAtMs: number;
  #phase: "waiting" | "answering" | "tunnel" | "over" = "waiting";
  #heard: Buffer | null = null;
  #anythingHeard = false;
  #answer: AnswerHead | null = null;
  #framing: Framing | null = null;

  constructor(edge: Edge, gateway: Gateway, head: RequestHead, instance: EndpointInstance) {
    this.#edge = edge;
    this.#gateway = gateway;
    this.#head = head;
    this.#instance = instance;
    this.#tally = gateway.counters.of(instance);
    this.#tally.open++;
    this.#asked = requestFraming(head);
    this.#replayable = this.#asked.done && IDEMPOTENT.has(head.method);
    this.#activeAtMs = gateway.nowMs;
    const idleMs = this.#replayable ? Infinity : gateway.limits.upstreamIdleUnsafeMs;
    this.#upstream = head.webSocket
      ? gateway.pool.dial(instance)
      : gateway.pool.take(instance, idleMs, this.#startedAtMs);
    this.#adopt(this.#upstream);
  }

  #adopt(upstream: Upstream): void {
    this.#upstream = upstream;
    this.#dialedAtMs = this.#gateway.nowMs;
    upstream.user = this;
  }

  /** Sends the head and what came with it of the body; answers where the body ended in bytes. */
  start(bytes: Buffer, from: number): number {
    const head = requestText(this.#head, this.#instance);
    this.#tally.bytesIn += head.length;
    if (this.#asked.done) {
      this.#upstream.socket.write(head, "latin1");
      return from;
    }
    if (this.#head.expectContinue) this.#edge.write("HTTP/1.1 100 Continue\r\n\r\n");
    const { socket } = this.#upstream;
    if (bytes.length - from > JOINED_BYTES_MAX) {
      socket.write(head, "latin1");
      return this.onEdgeData(bytes, from);
    }
    const asked = this.#asked;
    asked.read(bytes, from);
    if (asked.bad) return this.#refuseBody();
    this.#tally.bytesIn += asked.forwardEnd - from;
    socket.write(head + bytes.toString("latin1", from, asked.forwardEnd) + asked.tail, "latin1");
    return asked.end;
  }

  onEdgeData(bytes: Buffer, from: number): number {
    this.#activeAtMs = this.#gateway.nowMs;
    const { socket } = this.#upstream;
    if (this.#phase === "tunnel") {
      this.#tally.bytesIn += bytes.length - from;
      if (!socket.write(from === 0 ? bytes : bytes.subarray(from))) this.#edge.pauseReading();
      return bytes.length;
    }
    const asked = this.#asked;
    asked.read(bytes, from);
    if (asked.bad) return this.#refuseBody();
    this.#tally.bytesIn += asked.forwardEnd - from;
    const whole = from === 0 && asked.forwardEnd === bytes.length;
    let flowing = socket.write(whole ? bytes : bytes.subarray(from, asked.forwardEnd));
    if (asked.tail !== "") flowing = socket.write(asked.tail, "latin1");
    if (!flowing) this.#edge.pauseReading();
    return asked.end;
  }

  /** The edge broke off its own framing: there is no telling where a next request would begin. */
  #refuseBody(): number {
    this.onEdgeGone();
    this.#edge.abort();
    return 0;
  }

  onUpstreamDrain(): void {
    this.#edge.resumeReading();
  }

  onEdgeDrain(): void {
    this.#upstream.socket.resume();
  }

  onUpstreamData(bytes: Buffer): void {
    this.#activeAtMs = this.#gateway.nowMs;
    this.#anythingHeard = true;
    if (this.#phase === "answering") return this.#forward(bytes, 0, "");
    if (this.#phase === "tunnel") {
      this.#tally.bytesOut += bytes.length;
      if (!this.#edge.write(bytes)) this.#upstream.socket.pause();
      return;
    }
    const heard = this.#heard === null ? bytes : Buffer.concat([this.#heard, bytes]);
    this.#heard = null;
    this.#readHeads(heard);
  }

  /** Interim answers (1xx) do not survive a Worker and are dropped. */
  #readHeads(heard: Buffer): void {
    let from = 0;
    for (;;) {
      const end = heard.indexOf("\r\n\r\n", from, "latin1");
      if (end === -1) {
        if (heard.length - from > this.#gateway.limits.headBytesMax)
          return this.#fail("upstream_reset", "the app's head is too large");
        this.#heard = from === 0 ? heard : heard.subarray(from);
        return;
      }
      const answer = parseAnswerHead(heard.toString("latin1", from, end));
      from = end + 4;
      if (answer.kind === "malformed")
        return this.#fail("upstream_reset", `the app's answer is malformed: ${answer.message}`);
      if (answer.status === 101) return this.#openTunnel(answer, heard, from);
      if (answer.status >= 200) return this.#begin(answer, heard, from);
    }
  }

  #begin(answer: AnswerHead, bytes: Buffer, from: number): void {
    this.#answer = answer;
    this.#framing = answerFraming(this.#head, answer);
    this.#phase = "answering";
    this.#tally.answered(answer.status, performance.now() - this.#startedAtMs);
    this.#forward(bytes, from, answerText(answer, this.#framing, this.#ownLines(answer)));
  }

  #ownLines(answer: AnswerHead): string {
    return ownLines(this.#head, answer, this.#instance, this.#gateway);
  }

  /** head: what to write first, or nothing. */
  #forward(bytes: Buffer, from: number, head: string): void {
    const framing = this.#framing as Framing;
    framing.read(bytes, from);
    if (framing.bad) {
      this.#end();
      this.#upstream.socket.destroy();
      return this.#edge.abort();
    }
    const to = framing.forwardEnd;
    const rechunk = framing.endsWithConnection && to > from;
    const first = rechunk ? `${head}${(to - from).toString(16)}\r\n` : head;
    const tail = rechunk ? "\r\n" : framing.tail;
    this.#tally.bytesOut += head.length + to - from;
    let flowing = true;
    if (to - from <= JOINED_BYTES_MAX && first !== "")
      flowing = this.#edge.write(first + bytes.toString("latin1", from, to) + tail);
    else {
      const part = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
      flowing = first === "" ? this.#edge.write(part) : this.#edge.writeBoth(first, part);
      if (tail !== "") flowing = this.#edge.write(tail);
    }
    if (framing.done) this.#finish(framing.end === bytes.length);
    else if (!flowing) this.#upstream.socket.pause();
  }

  /** clean: the app sent nothing beyond its answer. */
  #finish(clean: boolean): void {
    const answer = this.#answer as AnswerHead;
    const upstream = this.#upstream;
    this.#end();
    if (clean && answer.keepAlive && this.#asked.done) {
      // A second off what the app promised: its clock started before ours.
      if (answer.keepAliveMs !== null) upstream.idleMaxMs = Math.min(upstream.idleMaxMs, answer.keepAliveMs - 1_000);
      this.#gateway.pool.put(this.#instance, upstream, performance.now());
    } else upstream.socket.destroy();
    this.#edge.served(!this.#head.close, this.#leftover());
  }

  #leftover(): Serving | null {
    return this.#asked.done ? null : new Discard(this.#edge, this.#gateway, this.#asked);
  }

  #openTunnel(answer: AnswerHead, bytes: Buffer, from: number): void {
    if (!this.#head.webSocket || answer.upgrade?.toLowerCase() !== "websocket")
      return this.#fail("upstream_reset", "the app switched protocols without being asked to");
    this.#phase = "tunnel";
    this.#tally.answered(101, performance.now() - this.#startedAtMs);
    this.#edge.write(tunnelText(answer, this.#ownLines(answer)));
    if (from < bytes.length) this.onUpstreamData(bytes.subarray(from));
    this.#edge.resumeReading();
  }

  onUpstreamEnd(error: Error | null): void {
    switch (this.#phase) {
      case "over":
        return;
      case "tunnel":
        this.#end();
        this.#upstream.socket.destroy();
        return this.#edge.served(false, null);
      case "answering":
        if (this.#framing?.endsWithConnection && error === null) {
          this.#edge.write("0\r\n\r\n");
          return this.#finish(false);
        }
        this.#end();
        this.#upstream.socket.destroy();
        return this.#edge.abort();
      case "waiting": {
        const { reused, connected } = this.#upstream;
        this.#upstream.user = null;
        this.#upstream.socket.destroy();
        if (!connected)
          return this.#fail("connect_failed", error?.message ?? "the app's port did not accept a connection");
        if (!reused || this.#anythingHeard || !this.#replayable)
          return this.#fail("upstream_reset", error?.message ?? "the app closed the connection without an answer");
        // A pooled connection that the app closed just now: once more, on a fresh one.
        this.#adopt(this.#gateway.pool.dial(this.#instance));
        this.#upstream.socket.write(requestText(this.#head, this.#instance), "latin1");
      }
    }
  }

  #fail(code: GatewayError, message: string): void {
    this.#tally.answered(statusOf(code), performance.now() - this.#startedAtMs);
    this.#end();
    this.#upstream.socket.destroy();
    const version = this.#gateway.endpoints.routeVersion(this.#instance.app);
    this.#edge.write(errorAnswer(code, message, version, this.#head.method === "HEAD"));
    this.#edge.served(!this.#head.close, this.#leftover());
  }

  onEdgeGone(): void {
    if (this.#phase === "over") return;
    // 499, as nginx has it: the visitor left before the answer.
    if (this.#phase === "waiting") this.#tally.answered(499, performance.now() - this.#startedAtMs);
    const tunnel = this.#phase === "tunnel";
    this.#end();
    if (tunnel) this.#upstream.socket.destroySoon();
    else this.#upstream.socket.destroy();
  }

  #end(): void {
    this.#phase = "over";
    this.#tally.open--;
    this.#upstream.user = null;
  }

  sweep(nowMs: number): void {
    const { limits } = this.#gateway;
    if (this.#phase === "waiting") {
      if (!this.#upstream.connected && nowMs - this.#dialedAtMs > limits.dialTimeoutMs)
        this.onUpstreamEnd(new Error("the app's port did not accept a connection in time"));
      else if (nowMs - this.#activeAtMs > limits.answerTimeoutMs)
        this.#fail("upstream_timeout", "the app did not answer in time");
    } else if (nowMs - this.#activeAtMs > limits.streamIdleMs) {
      this.onEdgeGone();
      this.#edge.abort();
    }
  }
}
