// The agents' sockets of a Cell: heartbeats and polls that come as messages, and the documents that wake their nodes.
import { z } from "zod";
import { isSpoken, unspokenText, type PollResponse } from "../../contracts/agent-protocol.ts";
import { FromAgent, FromAgentHead, SOCKET_CLOSES, type ToAgent } from "../../contracts/agent-socket.ts";
import type { Failure } from "../../contracts/failures.ts";
import { NodeId } from "../../contracts/ids.ts";
import type { CellInputs, CellReplies } from "../../core/cell/types.ts";
import { tooLateText } from "../../core/link/too-late.ts";
import { assertNever } from "../../core/step.ts";
import { closeSocket, sendOrClose, type Sockets } from "../shared/sockets.ts";

/** Who opened the socket, as the Worker proved it; expiresAtMs: of the credential. In the socket itself, so that it survives hibernation. */
const Holder = z.object({
  node: NodeId,
  jkt: z.string().min(1),
  boot: z.string().min(1),
  expiresAtMs: z.int(),
});
export type Holder = z.infer<typeof Holder>;

/** A node that beats over HTTP this often, with an open socket on which it says nothing, has given that up long ago. */
const HTTP_BEATS_MAX = 4;

export interface AgentSocketPorts {
  readonly sockets: Sockets;
  readonly heartbeat: (input: CellInputs["heartbeat"]) => CellReplies["heartbeat"];
  readonly admit: (input: CellInputs["admit"]) => CellReplies["admit"];
  /** The node's document where it is newer than that. */
  readonly newer: (node: NodeId, ackRevision: number) => PollResponse | null;
}

export class AgentSockets {
  readonly #ports: AgentSocketPorts;
  /** HTTP heartbeats of a node since it last said something on its socket, while it has one. */
  readonly #httpBeats = new Map<NodeId, number>();

  constructor(ports: AgentSocketPorts) {
    this.#ports = ports;
  }

  /** The newest socket of a node wins. What is newer than ack is sent at once, in the turn of the acceptance: no wake-up is lost. */
  accept(holder: Holder, ack: number): Response {
    this.close(holder.node, SOCKET_CLOSES.replaced, "replaced by a newer socket");
    const { server, response } = this.#ports.sockets.accept(tagOf(holder.node), holder);
    const body = this.#ports.newer(holder.node, ack);
    if (body !== null) say(server, { kind: "poll", id: 0, body });
    return response;
  }

  /** message: made once, and only where somebody hears it. */
  wake(node: NodeId, message: () => PollResponse | null): void {
    for (const socket of this.#ports.sockets.open(tagOf(node))) {
      if (hasExpired(holderOf(socket))) {
        closeSocket(socket, SOCKET_CLOSES.expired, "the credential has expired");
        continue;
      }
      const body = message();
      if (body !== null) say(socket, { kind: "poll", id: 0, body });
    }
  }

  close(node: NodeId, code: number, reason: string): void {
    this.#ports.sockets.closeAll(tagOf(node), code, reason);
    this.#httpBeats.delete(node);
  }

  /** The node got a fresh credential by the proof of its key: its socket lives as long as that. */
  renewed(node: NodeId, expiresAtMs: number): void {
    for (const socket of this.#ports.sockets.open(tagOf(node))) {
      const holder = holderOf(socket);
      if (holder !== null) socket.serializeAttachment({ ...holder, expiresAtMs });
    }
  }

  /** A dead end takes whatever is sent to it, and keeps it: so it goes once its node has taken the other way. */
  heardOverHttp(node: NodeId): void {
    const beats = (this.#httpBeats.get(node) ?? 0) + 1;
    this.#httpBeats.set(node, beats);
    if (beats % HTTP_BEATS_MAX === 0) this.close(node, SOCKET_CLOSES.silent, "the node beats over HTTP");
  }

  hear(socket: WebSocket, data: string | ArrayBuffer): void {
    const holder = holderOf(socket);
    // A poll's socket, whose holder has nothing to say.
    if (holder === null) return;
    if (hasExpired(holder)) return closeSocket(socket, SOCKET_CLOSES.expired, "the credential has expired");
    const json = typeof data === "string" ? parsed(data) : undefined;
    const head = FromAgentHead.safeParse(json);
    if (!head.success) return closeSocket(socket, SOCKET_CLOSES.malformed, "not a message of this protocol");
    this.#httpBeats.delete(holder.node);
    say(socket, this.#answer(holder, head.data, json));
  }

  #answer(holder: Holder, head: z.infer<typeof FromAgentHead>, json: unknown): ToAgent {
    const { id } = head;
    const { protocol } = head.body;
    if (!isSpoken(protocol)) return refused(head, { code: "protocol_unsupported", message: unspokenText(protocol) });
    const message = FromAgent.safeParse(json);
    if (!message.success) return refused(head, { code: "invalid_request", message: placesOf(message.error) });
    const { node, jkt, boot } = holder;
    const { kind, body } = message.data;
    switch (kind) {
      case "heartbeat": {
        const late = tooLateText(message.data.atMs, Date.now());
        if (late !== null) return refused(head, { code: "overloaded", message: late });
        const beat = this.#ports.heartbeat({ node, jkt, boot, lane: "heartbeat", seq: id, request: body });
        return beat.ok ? { kind, id, body: beat.value } : refused(head, beat.failure);
      }
      case "poll": {
        const admitted = this.#ports.admit({ node, jkt, boot, lane: "poll", seq: id });
        if (!admitted.ok) return refused(head, admitted.failure);
        return { kind, id, body: this.#ports.newer(node, body.ackRevision) };
      }
      default:
        return assertNever(kind);
    }
  }
}

/** Polls' sockets are tagged by the node alone. */
const tagOf = (node: NodeId): string => `agent:${node}`;

const say = (socket: WebSocket, message: ToAgent): void => sendOrClose(socket, JSON.stringify(message));

/** null: a socket of another kind. */
function holderOf(socket: WebSocket): Holder | null {
  const holder = Holder.safeParse(socket.deserializeAttachment());
  return holder.success ? holder.data : null;
}

const hasExpired = (holder: Holder | null): boolean => holder !== null && holder.expiresAtMs <= Date.now();

const refused = ({ kind: of, id }: z.infer<typeof FromAgentHead>, { code, message }: Failure): ToAgent => ({
  kind: "refused",
  ...{ of, id },
  body: { code, message, nowMs: Date.now() },
});

/** The places and their rules; never what stood there. */
const placesOf = (error: z.ZodError): string =>
  error.issues
    .slice(0, 5)
    .map(({ path, message }) => `/${path.join("/")}: ${message}`)
    .join("; ");

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
