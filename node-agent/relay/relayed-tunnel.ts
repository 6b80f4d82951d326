// A raw TCP connection to an instance of a node behind this one: bytes both ways, that node's gateway having opened it with its own 101.
import { formatEnvelope, TICKET_HEADER } from "../../contracts/ticket.ts";
import { errorAnswer } from "../gateway/answers.ts";
import type { RequestHead } from "../gateway/head.ts";
import { requestText } from "../gateway/heads-out.ts";
import type { Edge, Gateway, Serving } from "../gateway/serving.ts";
import type { UpstreamUser } from "../gateway/upstream.ts";
import type { RelayedUpstream } from "./relayed-upstream.ts";
import type { Tunnel } from "./tunnels.ts";

const UPGRADE = "Connection: Upgrade\r\nUpgrade: berth-tcp\r\n";

/** The ticket is judged there; so is a refusal written there, and passes as it is. Its time-outs are that gateway's too. */
export class RelayedTunnel implements Serving, UpstreamUser {
  readonly #edge: Edge;
  readonly #tunnel: Tunnel;
  readonly #upstream: RelayedUpstream;
  #heard = false;
  #over = false;

  constructor(edge: Edge, gateway: Gateway, tunnel: Tunnel, head: RequestHead) {
    this.#edge = edge;
    this.#tunnel = tunnel;
    tunnel.tally.open++;
    this.#upstream = gateway.relay.tunnels.take(tunnel, true, gateway.nowMs);
    this.#upstream.user = this;
    const ticket = head.envelope === null ? "" : `${TICKET_HEADER}: ${formatEnvelope(head.envelope)}\r\n`;
    this.#upstream.write(requestText(head, head.envelope?.host ?? tunnel.node, ticket + UPGRADE));
  }

  onUpstreamData(bytes: Buffer): boolean {
    this.#heard = true;
    if (!this.#over && !this.#edge.write(bytes)) this.#upstream.socket.pause();
    return this.#edge.holdsBytes;
  }

  onUpstreamDrain(): void {
    this.#edge.resumeReading();
  }

  onUpstreamEnd(error: Error | null): void {
    if (!this.#end()) return;
    if (!this.#heard)
      this.#edge.write(errorAnswer("connect_failed", error?.message ?? "the node closed the connection", 0, false));
    this.#edge.served(false, null);
  }

  onEdgeData(bytes: Buffer, from: number): number {
    if (!this.#upstream.write(from === 0 ? bytes : bytes.subarray(from))) this.#edge.pauseReading();
    return bytes.length;
  }

  onEdgeDrain(): void {
    this.#upstream.socket.resume();
  }

  onEdgeEnd(): void {
    // Of a stream, that is the end of this direction alone.
    if (!this.#over) this.#upstream.socket.destroySoon();
  }

  onEdgeGone(): void {
    if (this.#end()) this.#upstream.socket.destroySoon();
  }

  sweep(): void {}

  /** False: it was over already. */
  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#upstream.user = null;
    this.#tunnel.tally.open--;
    return true;
  }
}
