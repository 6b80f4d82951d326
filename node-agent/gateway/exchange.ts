// One request and its answer: edge connection → app → edge connection, streamed both ways, up to where a WebSocket begins.
import type { GatewayError } from "../../contracts/ticket.ts";
import { SAFE_METHODS } from "../../core/routing/retry.ts";
import { AnswerReader } from "./answer-reader.ts";
import { Discard, statusOf } from "./answers.ts";
import type { Framing } from "./framing.ts";
import type { AnswerHead, RequestHead } from "./head.ts";
import { answerFraming, answerText, tunnelText } from "./heads-out.ts";
import type { MessageParser } from "./llhttp.ts";
import { RequestBody } from "./request-body.ts";
import type { Edge, Serving, Station, ToServe } from "./serving.ts";
import type { Onward, UpstreamUser } from "./upstream.ts";
import type { Tally, Way } from "./way.ts";
import { WebSocketTunnel } from "./web-socket-tunnel.ts";

const NOTHING = Buffer.alloc(0);

export class Exchange implements Serving, UpstreamUser {
  readonly #edge: Edge;
  readonly #station: Station;
  readonly #head: RequestHead;
  #way: Way;
  #tally: Tally;
  readonly #byName: boolean;
  readonly #asked: RequestBody;
  readonly #replayable: boolean;
  readonly #startedAtMs = performance.now();
  #upstream: Onward;
  #dialedAtMs = 0;
  #activeAtMs: number;
  /** turning: nobody has answered, and whom to ask next is being found out. */
  #phase: "waiting" | "turning" | "answering" | "over" = "waiting";
  #reader = new AnswerReader();
  #answer: AnswerHead | null = null;
  #framing: Framing | null = null;

  constructor(edge: Edge, station: Station, { head, body, counts }: ToServe, way: Way) {
    this.#edge = edge;
    this.#station = station;
    this.#head = head;
    this.#way = way;
    this.#tally = way.tally;
    this.#byName = counts === "billed";
    this.#tally.open++;
    this.#asked = new RequestBody(body, head.length, way.keepsBodies === true);
    this.#replayable = this.#asked.done && SAFE_METHODS.has(head.method);
    this.#activeAtMs = this.#startedAtMs;
    this.#upstream = this.#adopted(this.#taken(way));
  }

  #taken(way: Way): Onward {
    if (this.#head.webSocket) return way.dial();
    return way.take(this.#replayable ? Infinity : this.#station.limits.upstreamIdleUnsafeMs, this.#activeAtMs);
  }

  #adopted(upstream: Onward): Onward {
    this.#dialedAtMs = performance.now();
    upstream.user = this;
    return upstream;
  }

  /** Sends the head and what came with it of the body; answers where the body ended in bytes. */
  start(bytes: Buffer, from: number): number {
    const head = this.#way.requestText(this.#head);
    this.#tally.bytesIn += head.length;
    if (this.#asked.done) {
      this.#upstream.write(head);
      return from;
    }
    if (this.#head.expectContinue) this.#edge.write("HTTP/1.1 100 Continue\r\n\r\n");
    return this.#sendBody(head, bytes, from);
  }

  onEdgeData(bytes: Buffer, from: number): number {
    this.#activeAtMs = this.#latestNowMs;
    return this.#sendBody("", bytes, from);
  }

  #sendBody(first: string, bytes: Buffer, from: number): number {
    const asked = this.#asked;
    // What comes now is the next request's.
    if (asked.done) return from;
    const { bodyBytesMax = Infinity } = this.#way.http ?? {};
    const fault = asked.read(bytes, from, bodyBytesMax);
    if (fault !== null) return this.#refuseBody(fault.code, fault.why, bytes.length);
    this.#tally.bytesIn += asked.framing.dataBytes;
    if (this.#phase !== "turning" && !asked.send(this.#upstream, first, bytes)) this.#edge.pauseReading();
    return asked.framing.end;
  }

  /** There is no telling where a next request would begin, or it is too far off. */
  #refuseBody(code: GatewayError, message: string, length: number): number {
    const unanswered = this.#phase === "waiting" || this.#phase === "turning";
    if (this.#phase !== "turning") this.#end();
    this.#phase = "over";
    this.#upstream.socket.destroy();
    const told = unanswered ? this.#told(code, message, false) : null;
    if (typeof told === "string") {
      this.#edge.write(told);
      this.#edge.served(false, null);
    } else this.#edge.abort();
    return length;
  }

  /** Not before now: nothing is timed out early. */
  get #latestNowMs(): number {
    return this.#station.nowMs + this.#station.limits.sweepMs;
  }

  onUpstreamDrain(): void {
    this.#edge.resumeReading();
  }

  onEdgeDrain(): void {
    this.#upstream.socket.resume();
  }

  onUpstreamData(bytes: Buffer): boolean {
    this.#activeAtMs = this.#latestNowMs;
    if (this.#phase === "answering") this.#forward(bytes, 0, "");
    else this.#readHeads(bytes);
    return this.#edge.holdsBytes;
  }

  #readHeads(bytes: Buffer): void {
    const { headBytesMax, interimAnswersMax } = this.#station.limits;
    const read = this.#reader.read(bytes, headBytesMax, interimAnswersMax);
    if (read.kind === "broken") return this.#fail("upstream_reset", read.why);
    if (read.kind === "incomplete") return;
    if (read.answer.status === 101) this.#openTunnel(read.answer, bytes, read.parser);
    else this.#begin(read.answer, read.parser, bytes);
  }

  #begin(answer: AnswerHead, parser: MessageParser, bytes: Buffer): void {
    const from = parser.end;
    this.#answer = answer;
    this.#framing = answerFraming(this.#head, answer, parser);
    const refusal = this.#way.heard?.(answer) ?? null;
    if (refusal !== null) return this.#refused(refusal, this.#framing, bytes, from);
    this.#phase = "answering";
    const tookMs = performance.now() - this.#startedAtMs;
    this.#tally.answered(answer.status, tookMs, this.#byName);
    const own = this.#way.answerLines(this.#head, answer, tookMs);
    this.#forward(bytes, from, answerText(answer, this.#framing, own));
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
    this.#tally.bytesOut += head.length + framing.dataBytes;
    const flowing = this.#edge.pass(head, bytes, framing);
    if (framing.done) {
      this.#end();
      this.#giveBack(framing.end === bytes.length);
      this.#served();
    } else if (!flowing) this.#upstream.socket.pause();
  }

  /** clean: nothing came beyond the answer. */
  #giveBack(clean: boolean): void {
    const answer = this.#answer as AnswerHead;
    const upstream = this.#upstream;
    if (clean && answer.keepAlive && this.#asked.done) {
      // A second off what the app promised: its clock started before ours.
      if (answer.keepAliveMs !== null) upstream.idleMaxMs = Math.min(upstream.idleMaxMs, answer.keepAliveMs - 1_000);
      this.#way.put(upstream, performance.now());
    } else upstream.socket.destroy();
  }

  /** By another gateway. What it says about it is read to its end where it has come whole, and the connection used again. */
  #refused(code: GatewayError, framing: Framing, bytes: Buffer, from: number): void {
    framing.read(bytes, from);
    this.#end();
    this.#giveBack(framing.done && framing.end === bytes.length);
    this.#turn(code, "", true);
  }

  /** What has not come yet of the request's body is thrown away before anything else on this connection. */
  #served(): void {
    const keepAlive = !this.#head.close;
    if (this.#asked.done) this.#edge.served(keepAlive, null);
    else this.#edge.served(true, new Discard(this.#edge, this.#station, this.#asked.framing, keepAlive));
  }

  #openTunnel(answer: AnswerHead, bytes: Buffer, parser: MessageParser): void {
    const from = parser.end;
    parser.release();
    if (!this.#head.webSocket || answer.upgrade?.toLowerCase() !== "websocket")
      return this.#fail("upstream_reset", "the app switched protocols without being asked to");
    this.#phase = "over";
    this.#tally.answered(101, performance.now() - this.#startedAtMs, this.#byName);
    this.#edge.write(tunnelText(answer, this.#way.answerLines(this.#head, answer, null)));
    const tunnel = new WebSocketTunnel(this.#edge, this.#station, this.#way, this.#upstream);
    this.#edge.become(tunnel);
    if (from < bytes.length) tunnel.onUpstreamData(bytes.subarray(from));
    this.#edge.resumeReading();
  }

  onUpstreamEnd(error: Error | null): void {
    switch (this.#phase) {
      case "over":
      case "turning":
        return;
      case "answering":
        if (this.#framing?.endsWithConnection && error === null) {
          this.#framing.over();
          return this.#forward(NOTHING, 0, "");
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
        if (!reused || this.#reader.begun || !this.#replayable)
          return this.#fail("upstream_reset", error?.message ?? "the app closed the connection without an answer");
        // A pooled connection that the app closed just now: once more, on a fresh one.
        this.#upstream = this.#adopted(this.#way.dial());
        this.#upstream.write(this.#way.requestText(this.#head));
      }
    }
  }

  #fail(code: GatewayError, message: string): void {
    this.#end();
    this.#upstream.socket.destroy();
    this.#turn(code, message, false);
  }

  /** To whomever the way has instead: another one to ask, or what to tell the visitor. */
  #turn(code: GatewayError, message: string, heard: boolean): void {
    const instead = this.#told(code, message, heard);
    if (!(instead instanceof Promise)) return this.#goOn(instead);
    this.#phase = "turning";
    void instead.then((way) => this.#phase === "turning" && this.#goOn(way));
  }

  #told(code: GatewayError, message: string, heard: boolean): ReturnType<Way["failed"]> {
    this.#tally.answered(statusOf(code), performance.now() - this.#startedAtMs, this.#byName);
    return this.#way.failed({ code, message, heard, body: this.#asked.kind, head: this.#head });
  }

  #goOn(instead: string | Way): void {
    if (typeof instead === "string") {
      this.#phase = "over";
      this.#edge.write(instead);
      return this.#served();
    }
    this.#phase = "waiting";
    this.#way = instead;
    this.#tally = instead.tally;
    this.#tally.open++;
    this.#reader = new AnswerReader();
    this.#activeAtMs = performance.now();
    this.#upstream = this.#adopted(this.#taken(instead));
    this.#upstream.write(instead.requestText(this.#head));
    if (this.#asked.sendAgain(this.#upstream)) this.#edge.resumeReading();
  }

  onEdgeGone(): void {
    if (this.#phase === "over") return;
    if (this.#phase === "turning") return void (this.#phase = "over");
    // 499, as nginx has it: the visitor left before the answer.
    if (this.#phase === "waiting") this.#tally.answered(499, performance.now() - this.#startedAtMs, this.#byName);
    this.#end();
    this.#upstream.socket.destroy();
  }

  #end(): void {
    this.#phase = "over";
    this.#tally.open--;
    this.#upstream.user = null;
    this.#reader.drop();
  }

  sweep(nowMs: number): void {
    const { dialTimeoutMs, answerTimeoutMs, streamIdleMs } = this.#station.limits;
    const { http } = this.#way;
    if (this.#phase === "waiting") {
      if (!this.#upstream.connected && nowMs - this.#dialedAtMs > (http?.connectTimeoutMs ?? dialTimeoutMs))
        this.onUpstreamEnd(new Error("the app's port did not accept a connection in time"));
      else if (nowMs - this.#activeAtMs > (http?.firstByteTimeoutMs ?? answerTimeoutMs))
        this.#fail("upstream_timeout", "the app did not answer in time");
      else this.#way.awaits?.(this.#upstream, nowMs - this.#dialedAtMs);
    } else if (this.#phase !== "over" && nowMs - this.#activeAtMs > (http?.idleTimeoutMs ?? streamIdleMs)) {
      this.onEdgeGone();
      this.#edge.abort();
    }
  }
}
