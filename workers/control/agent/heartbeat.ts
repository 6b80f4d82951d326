// The heartbeat: one per node and two seconds, answered while its sender still waits or not at all.
import { HeartbeatRequest, PROOF_HEADER } from "../../../contracts/agent-protocol.ts";
import { tooLateText } from "../../../core/link/too-late.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import { ApiFailure } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";
import { authenticateAgent } from "./authenticate.ts";
import { claimsOf } from "./proof.ts";
import { parseAgentBody } from "./read-agent-request.ts";

export const HEARTBEAT_PATH = "/agent/v1/heartbeat";

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
 * the fleet never comes back although each of its requests is served. The age is by the control plane's time, which a node knows
 * to half a round trip; before its first answer it goes by its own clock, and is told the time with the refusal.
 */
function refuseLate(proof: string | null, nowMs: number): void {
  const claims = proof === null ? null : claimsOf(proof);
  const message = claims === null ? null : tooLateText(claims.iatMs, nowMs);
  if (message !== null) throw new ApiFailure({ code: "overloaded", message }, { date: new Date(nowMs).toUTCString() });
}
