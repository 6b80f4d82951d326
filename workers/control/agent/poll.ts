// The held poll: this Worker waits, on a hibernating socket to the Cell, so that the Cell need not stay awake.
import { PollRequest } from "../../../contracts/agent-protocol.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import { fail } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";
import { authenticateAgent } from "./authenticate.ts";
import { parseAgentBody } from "./read-agent-request.ts";

export const POLL_PATH = "/agent/v1/poll";

/** Under what proxies on the way hold an idle request open for. */
export const POLL_HELD_MS = 25_000;

/** Of an ExecutionContext. */
export type Waiting = Pick<ExecutionContext, "waitUntil">;

export async function poll(request: Request, env: ControlEnv, execution: Waiting): Promise<Response> {
  const waiting = firstMessage(await openSocket(request, env), request.signal);
  // When the agent goes, the invocation lives on until the socket is closed: the object cannot see that its other end is dead.
  execution.waitUntil(waiting);
  const message = await waiting;
  if (message === null) return new Response(null, { status: 204 });
  return new Response(message, { headers: { "content-type": "application/json" } });
}

/** A function of its own: while the poll is held, thousands at a time, nothing of what opened it is kept. */
async function openSocket(request: Request, env: ControlEnv): Promise<WebSocket> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  const { cell, proof } = await authenticateAgent(request, bytes, env.CREDENTIAL_SIGNING_KEY, { lane: "poll" });
  const { ackRevision } = parseAgentBody(PollRequest, bytes);
  // Before the socket: opening one ends the node's other polls, which a replayed proof must not do.
  unwrap(await ask(() => env.CELL.getByName(cell).admit(proof), { repeatable: false }));
  const url = `https://cell/poll?node=${proof.node}&ack=${ackRevision}`;
  const answer = await env.CELL.getByName(cell).fetch(url, { headers: { upgrade: "websocket" } });
  if (answer.webSocket) return answer.webSocket;
  if (answer.status === 403) return fail("node_revoked", "The node was revoked.");
  return fail("credential_invalid", "This cell does not know the node.");
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
