// Asks whether this node was really removed, and believes only a word that its own control plane signed for this question.
import { randomBytes } from "node:crypto";
import { createLocalJWKSet, jwtVerify } from "jose";
import {
  AGENT_AUDIENCE,
  AGENT_PROTOCOL,
  CONTROL_ISSUER,
  REMOVAL_TYP,
  RemovalResponse,
} from "../../../contracts/agent-protocol.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { Identity } from "../state/identity.ts";
import type { Control } from "./control.ts";

/** Throws when nobody answers, or what is answered cannot be believed: then nothing is known. */
export async function askRemoval(control: Control, identity: Identity, limits: AgentLimits): Promise<boolean> {
  const { enrolled } = identity;
  if (enrolled === null) return false;
  const nonce = randomBytes(16).toString("base64url");
  const body = { protocol: AGENT_PROTOCOL, nonce };
  const call = { lane: "ask", method: "POST", path: "/agent/v1/removal", body } as const;
  const answer = await control.call({ ...call, timeoutMs: limits.askTimeoutMs }, RemovalResponse);
  if (answer === null || answer.word === null) return false;
  const { payload } = await jwtVerify(answer.word, createLocalJWKSet({ keys: [...enrolled.ticketKeys] }), {
    algorithms: ["EdDSA"],
    typ: REMOVAL_TYP,
    issuer: CONTROL_ISSUER,
    audience: AGENT_AUDIENCE,
    subject: enrolled.node,
    requiredClaims: ["jti"],
  });
  if (payload.jti !== nonce) throw new Error("the word on this node's removal answers another question");
  return true;
}
