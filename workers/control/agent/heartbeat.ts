// The heartbeat: almost every request there is (one per node and two seconds), so nothing is done for it that it does not need.
import { HeartbeatRequest, PROOF_HEADER } from "../../../contracts/agent-protocol.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import { HEARTBEAT_BYTES_MAX } from "../http/body.ts";
import { answerError, fail } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";
import { authenticateAgent } from "./authenticate.ts";
import { claimsOf, PROOF_WINDOW_MS } from "./proof.ts";
import { parseAgentBody } from "./read-agent-request.ts";

export const HEARTBEAT_PATH = "/agent/v1/heartbeat";

/**
 * A heartbeat that its node has given up on: nobody waits for the answer, the next one is on its way. Its time is the control
 * plane's, known to the node within half a round trip; before its first answer a node goes by its own clock, so it is
 * told the time with the refusal.
 */
const GIVEN_UP_MS = AGENT_LIMITS.heartbeatTimeoutMs + 1_000;

/**
 * Whether this request is one. The router and its middlewares cost as much as all that a heartbeat needs, and a fleet that
 * cannot be answered within its time-outs comes back with more. A body of unknown length goes the long way round.
 */
export function isHeartbeat(request: Request): boolean {
  const { url } = request;
  return (
    request.method === "POST" &&
    url.endsWith(HEARTBEAT_PATH) &&
    url.indexOf("/", url.indexOf("//") + 2) === url.length - HEARTBEAT_PATH.length &&
    request.headers.has("content-length")
  );
}

export async function answerHeartbeat(request: Request, env: ControlEnv): Promise<Response> {
  try {
    return await heartbeat(request, env);
  } catch (error) {
    return answerError(error, request.headers.get("x-request-id"));
  }
}

export async function heartbeat(request: Request, env: ControlEnv): Promise<Response> {
  refuseGivenUp(request.headers.get(PROOF_HEADER), Date.now());
  if (Number(request.headers.get("content-length") ?? 0) > HEARTBEAT_BYTES_MAX) {
    fail("payload_too_large", `The body may have at most ${HEARTBEAT_BYTES_MAX} bytes.`);
  }
  const bytes = new Uint8Array(await request.arrayBuffer());
  const { cell, proof } = await authenticateAgent(request, bytes, env.CREDENTIAL_SIGNING_KEY, { lane: "heartbeat" });
  const input = { ...proof, request: parseAgentBody(HeartbeatRequest, bytes) };
  // Once: the next beat comes in two seconds, and a repeated proof would be refused as a replay.
  const beat = await ask(() => env.CELL.getByName(cell).heartbeat(input), { repeatable: false });
  return Response.json(unwrap(beat));
}

/**
 * Before any cryptography: under overload every answer would otherwise be late, each late answer makes one more request, and
 * the fleet never comes back although each of its requests is served.
 */
function refuseGivenUp(proof: string | null, nowMs: number): void {
  const claims = proof === null ? null : claimsOf(proof);
  const ageMs = claims === null ? 0 : nowMs - claims.iatMs;
  // Beyond the window of proofs it is the clock that is wrong, and the proof is refused for it.
  if (ageMs <= GIVEN_UP_MS || ageMs > PROOF_WINDOW_MS) return;
  fail("overloaded", `This heartbeat was sent ${ageMs} ms ago by its own time: its sender no longer waits.`);
}
