// The held poll: this Worker waits, on a hibernating socket to the Cell, so that the Cell need not stay awake.
import { PollRequest } from "../../../contracts/agent-protocol.ts";
import type { ControlRequest } from "../http/context.ts";
import { ask } from "../http/ask.ts";
import { fail } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";
import { readAgentRequest } from "./read-agent-request.ts";

/** Under what proxies on the way hold an idle request open for. */
export const POLL_HELD_MS = 25_000;

export async function poll(c: ControlRequest): Promise<Response> {
  const { call, body } = await readAgentRequest(c, PollRequest, { lane: "poll" });
  const { cell, proof } = call;
  // Before the socket: opening one ends the node's other polls, which a replayed proof must not do.
  unwrap(await ask(() => c.env.CELL.getByName(cell).admit(proof), { repeatable: false }));
  const url = `https://cell/poll?node=${proof.node}&ack=${body.ackRevision}`;
  const answer = await c.env.CELL.getByName(cell).fetch(url, { headers: { upgrade: "websocket" } });
  const socket = answer.webSocket;
  if (!socket) {
    if (answer.status === 403) fail("node_revoked", "The node was revoked.");
    return fail("credential_invalid", "This cell does not know the node.");
  }
  const waiting = firstMessage(socket, c.req.raw.signal);
  // When the agent goes, the invocation lives on until the socket is closed: the object cannot see that its other end is dead.
  c.executionCtx.waitUntil(waiting);
  const message = await waiting;
  if (message === null) return c.body(null, 204);
  return c.body(message, 200, { "content-type": "application/json" });
}

/** The first message, as it is; null when the time is over, the object closed the socket, or the agent has gone. */
function firstMessage(socket: WebSocket, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    const end = (message: string | null) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      try {
        socket.close(1000, "the poll is over");
      } catch {
        // The object was faster.
      }
      resolve(message);
    };
    const onAbort = () => end(null);
    const timer = setTimeout(() => end(null), POLL_HELD_MS);
    socket.addEventListener("message", ({ data }) => end(typeof data === "string" ? data : null));
    socket.addEventListener("close", () => end(null));
    socket.addEventListener("error", () => end(null));
    signal.addEventListener("abort", onAbort);
    socket.accept();
    if (signal.aborted) end(null);
  });
}
