// The held poll: this Worker waits, on a hibernating socket to the Cell, so that the Cell need not stay awake.
import { PollRequest } from "../../../contracts/agent-protocol.ts";
import type { Failure } from "../../../contracts/failures.ts";
import type { ControlEnv } from "../env.ts";
import { ApiFailure } from "../http/problem.ts";
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
  // One request to the Cell, which admits the poll before it opens the socket. Not repeated: a repeated proof would be a replay.
  const { node, jkt, boot, seq } = proof;
  const query = new URLSearchParams({ node, jkt, boot, seq: String(seq), ack: String(ackRevision) });
  const answer = await env.CELL.getByName(cell).fetch(`https://cell/poll?${query}`, {
    headers: { upgrade: "websocket" },
  });
  if (answer.webSocket) return answer.webSocket;
  if (answer.status !== 403) throw new Error(`the Cell answered a poll with ${answer.status}`);
  throw new ApiFailure(await answer.json<Failure>());
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
