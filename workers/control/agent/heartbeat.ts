// The heartbeat: one per node and two seconds, answered while its sender still waits or not at all.
import { HeartbeatRequest, PROOF_HEADER } from "../../../contracts/agent-protocol.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import { ApiFailure } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";
import { authenticateAgent } from "./authenticate.ts";
import { claimsOf, PROOF_WINDOW_MS } from "./proof.ts";
import { parseAgentBody } from "./read-agent-request.ts";

export const HEARTBEAT_PATH = "/agent/v1/heartbeat";

/**
 * A heartbeat that waited this long would be answered too late: its node gives up on it. A second below that, because a queue
 * under overload settles at exactly this age, and what comes out of it must still be worth its work. The age is by the control
 * plane's time, which a node knows to half a round trip; before its first answer it goes by its own clock, and is told the
 * time with the refusal.
 */
const TOO_LATE_MS = AGENT_LIMITS.heartbeatGiveUpMs - 1_000;

export async function heartbeat(request: Request, env: ControlEnv): Promise<Response> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  refuseLate(request.headers.get(PROOF_HEADER), Date.now());
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
function refuseLate(proof: string | null, nowMs: number): void {
  const claims = proof === null ? null : claimsOf(proof);
  const ageMs = claims === null ? 0 : nowMs - claims.iatMs;
  // Beyond the window of proofs it is the clock that is wrong, and the proof is refused for it.
  if (ageMs <= TOO_LATE_MS || ageMs > PROOF_WINDOW_MS) return;
  const message = `This heartbeat was sent ${ageMs} ms ago by its own time: too long ago to be answered in time.`;
  throw new ApiFailure({ code: "overloaded", message }, { date: new Date(nowMs).toUTCString() });
}
