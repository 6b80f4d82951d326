// What every agent endpoint begins with: the body, whole, and then who sent it; the shape is looked at last.
import type { z } from "zod";
import { isSpoken, unspokenText } from "../../../contracts/agent-protocol.ts";
import type { NodeProof } from "../../../core/messages.ts";
import { parseJson } from "../http/body.ts";
import type { ControlRequest } from "../http/context.ts";
import { fail } from "../http/problem.ts";
import { parsed } from "../http/validation.ts";
import { authenticateAgent, type AgentCall } from "./authenticate.ts";

export const bodyOf = async (c: ControlRequest): Promise<Uint8Array> => new Uint8Array(await c.req.arrayBuffer());

/** The node's call and its parsed body. Unknown keys are ignored: a newer agent may say more. */
export async function readAgentRequest<Schema extends z.ZodType>(
  c: ControlRequest,
  schema: Schema,
  options: { readonly lane: NodeProof["lane"]; readonly expired?: "refused" | "accepted" },
): Promise<{ call: AgentCall; body: z.output<Schema> }> {
  const bytes = await bodyOf(c);
  const call = await authenticateAgent(c.req.raw, bytes, c.env.CREDENTIAL_SIGNING_KEY, options);
  return { call, body: parseAgentBody(schema, bytes) };
}

/** Control N works with agents N and N-1. */
export function parseAgentBody<Schema extends z.ZodType>(schema: Schema, bytes: Uint8Array): z.output<Schema> {
  const json = parseJson(bytes);
  const protocol = (json as { protocol?: unknown } | null)?.protocol;
  if (typeof protocol === "number" && !isSpoken(protocol)) fail("protocol_unsupported", unspokenText(protocol));
  return parsed(schema, json);
}
