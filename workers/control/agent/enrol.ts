// Enrolment: a join token and a node's public keys for a credential. Every step may be repeated: the same key gets the same node.
import { EnrolRequest, type EnrolResponse } from "../../../contracts/agent-protocol.ts";
import type { NodeId } from "../../../contracts/ids.ts";
import { judgeGateway } from "../../../core/outbound/judge.ts";
import { mintId } from "../../../db/ids.ts";
import { consumeJoinToken } from "../../../db/queries/join-tokens.ts";
import { recordNode } from "../../../db/queries/nodes.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import type { ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { fail, failField } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";
import { exceptionsOf } from "../outbound/guarded-fetch.ts";
import { issueCredential } from "./credential.ts";
import { sha256Hex } from "../sha256.ts";
import { verifyProof } from "./proof.ts";
import { bodyOf, parseAgentBody } from "./read-agent-request.ts";
import { ticketKeys } from "./ticket-keys.ts";

export async function enrol(c: ControlRequest): Promise<EnrolResponse> {
  const bytes = await bodyOf(c);
  const { pathname, search } = new URL(c.req.url);
  const asked = { method: c.req.method, path: pathname + search, body: bytes };
  const proven = await verifyProof(c.req.header("berth-proof") ?? null, asked, Date.now());
  if (proven.claims.lane !== "ask") fail("proof_invalid", "The proof's lane must be ask here.");
  const request = parseAgentBody(EnrolRequest, bytes);
  if (request.signKey !== proven.signKey) {
    failField("invalid_request", {
      pointer: "/signKey",
      rule: "proven",
      message: "must be the key that signed the proof",
    });
  }
  checkGatewayUrl(c.env, request.gatewayUrl);

  const database = databaseOf(c.env);
  const { region, name, failureDomain } = request;
  const hash = await sha256Hex(request.token);
  const fresh = { hash, node: mintId<NodeId>("node"), jkt: proven.jkt, region, requestId: c.get("requestId") };
  const { node, createdBy } = unwrap(await consumeJoinToken(database, fresh));
  const { cell } = unwrap(
    await ask(() => c.env.REGION.getByName(region).assign({ node, region }), { repeatable: true }),
  );
  const { jkt } = proven;
  // The token has done its work, and a Cell has no use for it.
  const facts = { node, cell, jkt, request: { ...request, token: "used-up-join-token" }, operator: createdBy };
  unwrap(await ask(() => c.env.CELL.getByName(cell).enrol(facts), { repeatable: true }));
  await recordNode(database, { id: node, name, cell, region, failureDomain, jkt, enrolledBy: createdBy });
  const nowMs = Date.now();
  const credential = await issueCredential(c.env.CREDENTIAL_SIGNING_KEY, { node, cell, jkt }, nowMs);
  return { node, cell, credential, ticketKeys: await ticketKeys(c.env.TICKET_SIGNING_KEY), nowMs };
}

/** What the edge will fetch: an origin and nothing more. */
function checkGatewayUrl(env: ControlEnv, gatewayUrl: string): void {
  const url = new URL(gatewayUrl);
  const plain = (url.protocol === "http:" || url.protocol === "https:") && url.origin === gatewayUrl.replace(/\/$/, "");
  if (!plain) {
    failField("invalid_request", {
      pointer: "/gatewayUrl",
      rule: "origin",
      message: "must be an http or https origin",
    });
  }
  const refusal = judgeGateway(gatewayUrl, exceptionsOf(env));
  if (refusal !== null) failField("invalid_request", { pointer: "/gatewayUrl", ...refusal });
}
