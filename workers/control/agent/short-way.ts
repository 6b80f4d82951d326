// Heartbeats and polls are almost all requests there are: they go past the router and its middlewares, which cost as much again.
// Upgrades do too: a middleware that touches the answer would lose the socket in it.
import { SOCKET_PATH } from "../../../contracts/agent-socket.ts";
import type { ControlEnv } from "../env.ts";
import { HEARTBEAT_BYTES_MAX, JSON_BYTES_MAX } from "../http/body.ts";
import { answerError, fail } from "../http/problem.ts";
import { HEARTBEAT_PATH, heartbeat } from "./heartbeat.ts";
import { POLL_PATH, poll, type Waiting } from "./poll.ts";
import { openAgentSocket } from "./socket.ts";

/** null: a request for the router. What has no declared length is one too: its body must be counted while it is read. */
export function takeShortWay(request: Request, env: ControlEnv, execution: Waiting): Promise<Response> | null {
  if (request.method === "GET" && new URL(request.url).pathname === SOCKET_PATH) {
    return answered(request, () => openAgentSocket(request, env));
  }
  if (request.method !== "POST") return null;
  const isHeartbeat = isAt(request.url, HEARTBEAT_PATH);
  if (!isHeartbeat && !isAt(request.url, POLL_PATH)) return null;
  const length = request.headers.get("content-length");
  if (length === null) return null;
  return answered(request, async () => {
    const maxBytes = isHeartbeat ? HEARTBEAT_BYTES_MAX : JSON_BYTES_MAX;
    if (Number(length) > maxBytes) fail("payload_too_large", `The body may have at most ${maxBytes} bytes.`);
    return isHeartbeat ? heartbeat(request, env) : poll(request, env, execution);
  });
}

/** Whether the path is this one, without a query. */
const isAt = (url: string, path: string): boolean =>
  url.endsWith(path) && url.indexOf("/", url.indexOf("//") + 2) === url.length - path.length;

async function answered(request: Request, answer: () => Promise<Response>): Promise<Response> {
  try {
    return await answer();
  } catch (error) {
    return answerError(error, requestIdOf(request));
  }
}

/** The sender's, where the router would have taken it too: it goes into answers and logs. */
function requestIdOf(request: Request): string | null {
  const sent = request.headers.get("x-request-id");
  return sent !== null && /^[\w=-]{1,128}$/.test(sent) ? sent : null;
}
