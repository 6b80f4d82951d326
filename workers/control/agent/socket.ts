// The agent's WebSocket: authenticated here, then the Cell's own; from there on this Worker has no part in it.
import { z } from "zod";
import { isSpoken, PROOF_HEADER, unspokenText } from "../../../contracts/agent-protocol.ts";
import { SOCKET_PROTOCOL } from "../../../contracts/agent-socket.ts";
import type { Failure } from "../../../contracts/failures.ts";
import { isUpgradeTooLate } from "../../../core/link/too-late.ts";
import type { ControlEnv } from "../env.ts";
import { ApiFailure, fail } from "../http/problem.ts";
import { invalid } from "../http/validation.ts";
import { authenticateAgent } from "./authenticate.ts";
import { claimsOf } from "./proof.ts";

const Query = z.object({
  protocol: z.coerce.number().int(),
  ack: z.coerce.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
});

/** Told to who came too late; agents spread it over as long again. */
const RETRY_AFTER_MS = 10_000;

export async function openAgentSocket(request: Request, env: ControlEnv): Promise<Response> {
  if (!isUpgrade(request)) return new Response(null, { status: 426, headers: { upgrade: "websocket" } });
  refuseLate(request.headers.get(PROOF_HEADER), Date.now());
  const key = env.CREDENTIAL_SIGNING_KEY;
  const { cell, proof, expiresAtMs } = await authenticateAgent(request, new Uint8Array(), key, { lane: "socket" });
  const asked = Query.safeParse(Object.fromEntries(new URL(request.url).searchParams));
  if (!asked.success) throw invalid(asked.error.issues, "query");
  const { protocol, ack } = asked.data;
  if (!isSpoken(protocol) || protocol < SOCKET_PROTOCOL) fail("protocol_unsupported", unspokenText(protocol));
  const { node, jkt, boot, seq } = proof;
  const holder = { node, jkt, boot, seq: String(seq), ack: String(ack), expires: String(expiresAtMs) };
  // Not repeated: a repeated proof would be a replay.
  const answer = await env.CELL.getByName(cell).fetch(`https://cell/socket?${new URLSearchParams(holder)}`, {
    headers: { upgrade: "websocket" },
  });
  if (answer.webSocket) return answer;
  if (answer.status !== 403) throw new Error(`the Cell answered an agent's socket with ${answer.status}`);
  throw new ApiFailure(await answer.json<Failure>());
}

/** Before any cryptography and any object: its agent has given up on it, and would leave a socket that nobody holds. */
function refuseLate(proof: string | null, nowMs: number): void {
  const ageMs = nowMs - (proof === null ? nowMs : (claimsOf(proof)?.iatMs ?? nowMs));
  if (!isUpgradeTooLate(ageMs)) return;
  const message = `This upgrade was sent ${ageMs} ms ago by its own time: nobody waits for it any more.`;
  fail("overloaded", message, { retryAfterMs: RETRY_AFTER_MS });
}

const isUpgrade = (request: Request): boolean => request.headers.get("upgrade")?.toLowerCase() === "websocket";
