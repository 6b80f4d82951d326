// To whom an exchange goes on: another node's gateway, over the connection that it keeps to this one. What it answers passes as it is.
import { formatEnvelope, TICKET_HEADER } from "../../contracts/ticket.ts";
import { CLOSE, errorAnswer } from "../gateway/answers.ts";
import type { InstanceTally } from "../gateway/counters.ts";
import type { AnswerHead, RequestHead } from "../gateway/head.ts";
import { CLOSING_LINE, requestText } from "../gateway/heads-out.ts";
import type { Gateway } from "../gateway/serving.ts";
import type { Onward } from "../gateway/upstream.ts";
import { endsConnection, type Failed, type Way, type WayPolicy } from "../gateway/way.ts";
import type { RelayedUpstream } from "./relayed-upstream.ts";
import type { Tunnel, Tunnels } from "./tunnels.ts";

/** The other gateway knows the app's limits and keeps them; the connection to it has a pulse of its own. */
const HTTP: WayPolicy = { connectTimeoutMs: Infinity, firstByteTimeoutMs: Infinity, idleTimeoutMs: Infinity };

export class RelayWay implements Way {
  readonly tally: InstanceTally;
  readonly http = HTTP;
  readonly #gateway: Gateway;
  readonly #tunnels: Tunnels;
  readonly #tunnel: Tunnel;

  constructor(gateway: Gateway, tunnels: Tunnels, tunnel: Tunnel) {
    this.#gateway = gateway;
    this.#tunnels = tunnels;
    this.#tunnel = tunnel;
    this.tally = tunnel.tally;
  }

  take(_idleMs: number, nowMs: number): Onward {
    return this.#tunnels.take(this.#tunnel, false, nowMs);
  }

  dial(): Onward {
    return this.#tunnels.take(this.#tunnel, true, 0);
  }

  put(onward: Onward, nowMs: number): void {
    this.#tunnels.put(this.#tunnel, onward as RelayedUpstream, nowMs);
  }

  /** With its ticket, which that gateway asks for as it does of the edge. */
  requestText(head: RequestHead): string {
    const ticket = head.envelope === null ? "" : `${TICKET_HEADER}: ${formatEnvelope(head.envelope)}\r\n`;
    return requestText(head, head.envelope?.host ?? this.#tunnel.node, ticket + head.about);
  }

  answerLines(_head: RequestHead, answer: AnswerHead, tookMs: number | null): string {
    return tookMs !== null && this.#gateway.closing ? answer.internal + CLOSING_LINE : answer.internal;
  }

  leave(): undefined {
    return undefined;
  }

  failed({ code, message, head }: Failed): string {
    return errorAnswer(code, message, 0, head.method === "HEAD", endsConnection(code) ? CLOSE : "");
  }
}
