// POST /agent/v1/keys: a node says which ticket keys it trusts and what its credential is by, and hears what it should have.
import { KeysRequest, type KeysResponse } from "../../../contracts/agent-keys.ts";
import { recordNodeKeys } from "../../../db/queries/platform-keys.ts";
import { signingRing } from "../../keys/signing-ring.ts";
import { ask } from "../http/ask.ts";
import type { ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { unwrap } from "../http/respond.ts";
import { readAgentRequest } from "./read-agent-request.ts";
import { ticketKeys } from "./ticket-keys.ts";

/** Level-triggered: told again and again. Postgres hears of it only while keys are on their way, which an operator waits for. */
export async function tellKeys(c: ControlRequest): Promise<KeysResponse> {
  const { call, body } = await readAgentRequest(c, KeysRequest, { lane: "ask" });
  const { cell, proof } = call;
  unwrap(await ask(() => c.env.CELL.getByName(cell).admit(proof), { repeatable: false }));
  const { node } = proof;
  if (c.env.KEYS_MOVING !== undefined) await recordNodeKeys(databaseOf(c.env), { node, ...body });
  const { kid } = await signingRing(c.env.CREDENTIAL_SIGNING_KEY, "CREDENTIAL_SIGNING_KEY");
  return {
    ticketKeys: await ticketKeys(c.env.TICKET_SIGNING_KEY),
    renew: body.credential !== kid,
    nowMs: Date.now(),
  };
}
