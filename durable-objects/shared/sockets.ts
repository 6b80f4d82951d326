// Hibernating WebSockets by tag: the object sleeps while Workers hold the other ends.

/** A socket's whole life after its upgrade; a dead end is found by a send that fails, and closed. */
export class Sockets {
  readonly #state: DurableObjectState;

  constructor(state: DurableObjectState) {
    this.#state = state;
    // Keep-alives are answered without waking the object.
    state.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  /** The object's end of a new socket; the client's end goes into the 101 answer. attachment: survives hibernation with it. */
  accept(tag: string, attachment?: object): { readonly server: WebSocket; readonly response: Response } {
    const { 0: client, 1: server } = new WebSocketPair();
    this.#state.acceptWebSocket(server, [tag]);
    if (attachment !== undefined) server.serializeAttachment(attachment);
    return { server, response: new Response(null, { status: 101, webSocket: client }) };
  }

  count(tag: string): number {
    return this.open(tag).length;
  }

  /** To every open socket of the tag. */
  broadcast(tag: string, message: string): void {
    for (const socket of this.open(tag)) sendOrClose(socket, message);
  }

  /** The last message of every open socket of the tag. */
  finish(tag: string, message: string): void {
    for (const socket of this.open(tag)) finishSocket(socket, message);
  }

  closeAll(tag: string, code: number, reason: string): void {
    for (const socket of this.open(tag)) closeSocket(socket, code, reason);
  }

  open(tag: string): WebSocket[] {
    return this.#state.getWebSockets(tag).filter((socket) => socket.readyState === WebSocket.OPEN);
  }
}

export function sendOrClose(socket: WebSocket, message: string): void {
  try {
    socket.send(message);
  } catch {
    closeSocket(socket, 1011, "send failed");
  }
}

/** Sends, then closes: whoever waited for one message has it. */
export function finishSocket(socket: WebSocket, message: string): void {
  sendOrClose(socket, message);
  closeSocket(socket, 1000, "answered");
}

/** Closing what is closed already is no fault. */
export function closeSocket(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // The other end was faster.
  }
}

/** What a request for a socket must be; anything else gets the answer returned here. */
export function refuseUnlessUpgrade(request: Request, path: string): Response | null {
  if (new URL(request.url).pathname !== path) return new Response(null, { status: 404 });
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    return new Response(null, { status: 426, headers: { upgrade: "websocket" } });
  }
  return null;
}
