// To whom an exchange goes on, and what is particular about that: an app on this node. (The other way is a node behind a relay.)
import { CLOSING_LINE, ownLines, requestText, timingLine } from "./heads-out.ts";
import { CLOSE, errorAnswer } from "./answers.ts";
import { InstanceTally } from "./counters.ts";
import type { AnswerHead, RequestHead } from "./head.ts";
import type { GatewayError } from "../../contracts/ticket.ts";
import type { BodyKind } from "../../core/routing/retry.ts";
import type { EndpointInstance, LeaveWindow } from "../endpoint-file.ts";
import type { Gateway } from "./serving.ts";
import { type Onward, placeOf, type Upstream } from "./upstream.ts";

export type WayPolicy = NonNullable<EndpointInstance["http"]>;

/** Where a way's requests are counted. */
export type Tally = Pick<InstanceTally, "open" | "bytesIn" | "bytesOut" | "answered">;

/** A body at fault: where a next request would begin cannot be told, or is too far off. */
export const endsConnection = (code: GatewayError): boolean =>
  code === "malformed_request" || code === "body_too_large";

/** Nothing of an answer has gone out yet. heard: it is what another gateway said, and no fault of the connection. */
export interface Failed {
  readonly code: GatewayError;
  readonly message: string;
  readonly heard: boolean;
  readonly body: BodyKind;
  readonly head: RequestHead;
}

export interface Way {
  readonly tally: Tally;
  /** Absent: the gateway's own limits. */
  readonly http: WayPolicy | undefined;
  /** A connection that carried a request before and was idle for less than idleMs, else a fresh one. */
  take(idleMs: number, nowMs: number): Onward;
  dial(): Onward;
  /** The connection may carry another request. */
  put(onward: Onward, nowMs: number): void;
  requestText(head: RequestHead): string;
  /** What this gateway adds to an answer. tookMs: to its head; null where a 101 opens a tunnel. */
  answerLines(head: RequestHead, answer: AnswerHead, tookMs: number | null): string;
  /** When its WebSockets are to leave, if they are. */
  leave(): LeaveWindow | undefined;
  /** What is told instead of an answer, the whole of it; or another way to try. */
  failed(how: Failed): string | Way | Promise<string | Way>;
  /** Whether bodies that are short enough are kept, for another way. */
  readonly keepsBodies?: boolean;
  /** The head of an answer has come: what another gateway refused the request with, if that is what it says. */
  heard?(answer: AnswerHead): GatewayError | null;
  /** There is no answer yet. Called with every sweep. */
  awaits?(onward: Onward, forMs: number): void;
}

export class AppWay implements Way {
  readonly tally: InstanceTally;
  readonly #gateway: Gateway;
  readonly #instance: EndpointInstance;

  /** isCounted: for a visitor, and not for the control plane itself. */
  constructor(gateway: Gateway, instance: EndpointInstance, isCounted: boolean) {
    this.#gateway = gateway;
    this.#instance = instance;
    this.tally = isCounted ? gateway.counters.of(instance) : new InstanceTally();
  }

  get http(): WayPolicy | undefined {
    return this.#instance.http;
  }

  take(idleMs: number, nowMs: number): Onward {
    return this.#gateway.pool.take(placeOf(this.#instance), idleMs, nowMs);
  }

  dial(): Onward {
    return this.#gateway.pool.dial(placeOf(this.#instance));
  }

  put(onward: Onward, nowMs: number): void {
    this.#gateway.pool.put(onward as Upstream, nowMs);
  }

  requestText(head: RequestHead): string {
    return requestText(head, head.envelope?.host ?? `${this.#instance.host}:${this.#instance.port}`, head.about);
  }

  answerLines(head: RequestHead, answer: AnswerHead, tookMs: number | null): string {
    const lines = `${tookMs === null ? "" : timingLine(tookMs)}${ownLines(head, answer, this.#instance, this.#gateway)}`;
    return tookMs !== null && this.#gateway.closing ? lines + CLOSING_LINE : lines;
  }

  leave(): LeaveWindow | undefined {
    return this.#gateway.endpoints.leaveOf(this.#instance);
  }

  failed({ code, message, head }: Failed): string {
    const version = this.#gateway.endpoints.routeVersion(this.#instance.app);
    return errorAnswer(code, message, version, head.method === "HEAD", endsConnection(code) ? CLOSE : "");
  }
}
