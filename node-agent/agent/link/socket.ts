// The agent's WebSocket around its state (core/link/socket.ts): opened by credential and proof, heard, doubted, left, opened again.
import type { Logger } from "pino";
import WebSocket from "ws";
import {
  AGENT_PROTOCOL,
  type HeartbeatRequest,
  type HeartbeatResponse,
  type PollResponse,
} from "../../../contracts/agent-protocol.ts";
import { type FromAgent, SOCKET_CLOSES, SOCKET_PATH, ToAgent } from "../../../contracts/agent-socket.ts";
import type { DesiredDocument } from "../../../contracts/desired.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import {
  firstSocketState,
  isThere,
  isUsable,
  lookAtMs,
  type SocketAt,
  type SocketEnd,
  type SocketEvent,
  type SocketState,
  stepSocket,
  wayOf,
} from "../../../core/link/socket.ts";
import { type Control, Refused } from "./control.ts";
import { type ControlClock, monotonicMs } from "./control-clock.ts";
import { pause } from "./pause.ts";
import { connect, type Upgraded } from "./upgrade.ts";
import { Waiting } from "./waiting.ts";

export interface SocketPorts {
  readonly control: Pick<Control, "upgrade" | "nextSeq" | "renew">;
  readonly clock: Pick<ControlClock, "nowMs" | "hear">;
  readonly limits: AgentLimits;
  readonly log: Pick<Logger, "debug" | "info" | "warn" | "error">;
  /** The newest revision on our disk. */
  readonly revision: () => number;
  /** saidAtMs: the control plane's moment of the message. */
  readonly accept: (document: DesiredDocument, saidAtMs: number) => Promise<void>;
  /** There is a socket now, or none any more. */
  readonly turned: () => void;
}

export class AgentSocket {
  readonly #ports: SocketPorts;
  readonly #waiting: Waiting;
  #state: SocketState;
  #socket: WebSocket | null = null;
  #timer: NodeJS.Timeout | null = null;
  #accepting: Promise<void> = Promise.resolve();
  #isStopped = false;
  readonly #settling = new Set<AbortController>();

  constructor(ports: SocketPorts) {
    this.#ports = ports;
    this.#waiting = new Waiting(ports.limits, (sentAtMs) => this.#take({ kind: "unanswered", sentAtMs }));
    this.#state = firstSocketState(ports.limits, momentNow());
  }

  start(): void {
    this.#arm();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#settle();
    this.#drop();
  }

  get isUsable(): boolean {
    return isUsable(this.#state) && !this.#isStopped;
  }

  get isThere(): boolean {
    return isThere(this.#state) && !this.#isStopped;
  }

  /** What was sent over HTTP then (monotonic) was answered: a socket that is silent all the while is dead. */
  heardOverHttp(sentAtMs: number): void {
    this.#take({ kind: "heard_over_http", sentAtMs });
  }

  /** The control plane refused what was sent over HTTP, because it has too much to do. */
  busyOverHttp(): void {
    this.#take({ kind: "busy_over_http" });
  }

  /**
   * Resolves once it is known whether there is a socket; at once where nobody is asking for one, and after a beat where that takes
   * longer: what is about to go over a socket does not go over HTTP as well.
   */
  async settled(): Promise<void> {
    if (this.#state.kind !== "opening" || this.#isStopped) return;
    const leftMs = this.#state.sinceMs + this.#ports.limits.heartbeatMs - monotonicMs();
    if (leftMs <= 0) return;
    const settled = new AbortController();
    this.#settling.add(settled);
    await pause(leftMs, settled.signal);
    this.#settling.delete(settled);
  }

  /** null: it goes over HTTP. Rejects as a call over HTTP does: Refused, or no answer. */
  beat(body: HeartbeatRequest): Promise<HeartbeatResponse> | null {
    if (!this.isThere) return null;
    const way = wayOf(this.#state);
    this.#take({ kind: "beat" });
    if (way === "http") return null;
    const id = this.#ports.control.nextSeq("heartbeat");
    return this.#send({ kind: "heartbeat", id, atMs: this.#ports.clock.nowMs(), body });
  }

  /** Asks for the document that is newer than ours. false: it cannot go this way now. */
  ask(): boolean {
    if (!this.isUsable) return false;
    const { control, revision } = this.#ports;
    const body = { protocol: AGENT_PROTOCOL, ackRevision: revision() };
    // What is refused or lost here is asked for again after the next heartbeat.
    this.#send({ kind: "poll", id: control.nextSeq("poll"), body })?.catch(() => undefined);
    return true;
  }

  #send(message: FromAgent): Promise<HeartbeatResponse> | null {
    const text = JSON.stringify(message);
    const socket = this.#socket;
    if (socket === null || Buffer.byteLength(text) > this.#ports.limits.socketMessageBytesMax) return null;
    const answered = this.#waiting.add(message);
    // What cannot be sent ends the socket, and with it everything that waits.
    socket.send(text, () => undefined);
    return answered;
  }

  #take(event: SocketEvent): void {
    if (this.#isStopped) return;
    const before = this.#state;
    this.#state = stepSocket(before, event, momentNow(), this.#ports.limits);
    if (this.#state === before) return this.#arm();
    if (this.#state.kind === "opening" && before.kind !== "opening") void this.#open();
    if (this.#state.kind === "closed") this.#drop();
    if (this.#state.kind !== "opening") this.#settle();
    this.#arm();
    const [was, is] = [isUsable(before), isUsable(this.#state)];
    if (was !== is) this.#ports.log.info({ socket: this.#state.kind }, `goes on over ${is ? "a socket" : "HTTP"}`);
    if (isThere(before) !== isThere(this.#state)) this.#ports.turned();
  }

  #settle(): void {
    for (const waiting of this.#settling) waiting.abort();
  }

  #arm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const atMs = lookAtMs(this.#state, this.#ports.limits);
    if (atMs === null || this.#isStopped) return;
    // Rounded up: a look that comes early looks again at once.
    this.#timer = setTimeout(() => this.#take({ kind: "look" }), Math.max(0, Math.ceil(atMs - monotonicMs())));
  }

  async #open(): Promise<void> {
    const { control, revision } = this.#ports;
    const opening = this.#state;
    const path = `${SOCKET_PATH}?protocol=${AGENT_PROTOCOL}&ack=${revision()}`;
    try {
      const upgraded = connect(await control.upgrade(path), this.#ports.limits.socketOpenMs);
      if (this.#state !== opening || this.#isStopped) return upgraded.socket.terminate();
      this.#follow(upgraded);
    } catch (error) {
      if (this.#state === opening) this.#end("failed", String(error));
    }
  }

  #follow({ socket, refused }: Upgraded): void {
    this.#socket = socket;
    const isOurs = () => this.#socket === socket;
    socket.on("open", () => isOurs() && this.#take({ kind: "opened" }));
    socket.on("message", (data, isBinary) => isOurs() && !isBinary && this.#hear(String(data)));
    socket.on("close", (code) => isOurs() && this.#closed(code));
    void refused.then((error) => {
      if (isOurs()) this.#turnedAway(error);
    });
  }

  #hear(text: string): void {
    const receivedAtMs = monotonicMs();
    const message = readMessage(text);
    if (message === null) return;
    const asked = message.id === 0 ? null : this.#waiting.take(message);
    if (asked !== null) this.#take({ kind: "answered", sentAtMs: asked.sentAtMs });
    switch (message.kind) {
      case "heartbeat":
        if (asked === null) return;
        this.#ports.clock.hear(message.body.nowMs, asked.sentAtMs, receivedAtMs);
        return asked.resolve(message.body);
      case "poll":
        return message.body === null ? undefined : this.#accept(message.body);
      case "refused": {
        if (asked === null) return;
        const { code, message: detail, nowMs } = message.body;
        this.#ports.clock.hear(nowMs, asked.sentAtMs, receivedAtMs);
        return asked.reject(new Refused(code === "internal" ? 500 : 400, code, detail, null));
      }
    }
  }

  /** One after the other, as they came. */
  #accept({ desired, nowMs }: PollResponse): void {
    const { accept, log } = this.#ports;
    this.#accepting = this.#accepting
      .then(() => accept(desired, nowMs))
      .catch((error: unknown) => log.error({ error: String(error) }, "a document could not be stored"));
  }

  #closed(code: number): void {
    if (code === SOCKET_CLOSES.expired) return this.#renew();
    this.#end(code === SOCKET_CLOSES.replaced ? "replaced" : "failed", `closed with ${code}`);
  }

  #turnedAway(error: Refused): void {
    if (error.code === "credential_expired") return this.#renew();
    // As of a control plane from before this transport, of one that no longer speaks our protocol, or of a proxy.
    const isUnknown = [404, 405, 426, 501].includes(error.status) || error.code === "protocol_unsupported";
    this.#end(isUnknown ? "unknown_path" : "failed", error.message, error.retryAfterMs);
  }

  /** The next socket is opened with the fresh one; where none is to be had now, it is refused as this one. */
  #renew(): void {
    this.#end("expired", "the credential has expired");
    void this.#ports.control.renew().catch(() => undefined);
  }

  #end(end: SocketEnd, why: string, retryAfterMs: number | null = null): void {
    const { failures } = this.#state;
    this.#take({ kind: "ended", end, retryAfterMs });
    if (this.#state.kind !== "closed" || this.#isStopped) return;
    const waitMs = Math.round(this.#state.retryAtMs - monotonicMs());
    const level = failures === 0 ? "warn" : "debug";
    this.#ports.log[level]({ why, waitMs, failures: this.#state.failures }, "no socket to the control plane: HTTP");
  }

  /** A half-open socket would never say that it has closed: nobody waits for its end. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#waiting.fail("the socket ended");
    if (socket === null) return;
    if (socket.readyState === WebSocket.OPEN && this.#isStopped) socket.close(1000, "the agent leaves");
    else socket.terminate();
  }
}

const momentNow = (): SocketAt => ({ nowMs: monotonicMs(), share: Math.random() });

/** null: of a newer control plane, or nonsense; neither is acted on. */
function readMessage(text: string): ToAgent | null {
  try {
    const message = ToAgent.safeParse(JSON.parse(text));
    return message.success ? message.data : null;
  } catch {
    return null;
  }
}
