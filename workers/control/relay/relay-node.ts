// What a node that cannot be reached asks: through whom is it? Answered with leave to keep a connection to each of them.
import { RelayRequest, type RelayResponse } from "../../../contracts/relay.ts";
import { readAgentRequest } from "../agent/read-agent-request.ts";
import { ask } from "../http/ask.ts";
import type { ControlRequest } from "../http/context.ts";
import { unwrap } from "../http/respond.ts";
import { signGrant } from "./grant.ts";

/** Level-triggered and repeatable; asked at each change of what is held, and every few seconds. */
export async function relayNode(c: ControlRequest): Promise<RelayResponse> {
  const { call, body } = await readAgentRequest(c, RelayRequest, { lane: "ask" });
  const { cell, proof } = call;
  unwrap(await ask(() => c.env.CELL.getByName(cell).admit(proof), { repeatable: false }));
  const { key, held } = body;
  const { node } = proof;
  const told = unwrap(await ask(() => c.env.CELL.getByName(cell).relay({ node, held }), { repeatable: true }));
  const nowMs = Date.now();
  const relays = await Promise.all(
    told.relays.map(async (relay) => ({
      ...relay,
      grant: await signGrant(c.env.TICKET_SIGNING_KEY, { node, relay: relay.node, key }, nowMs),
    })),
  );
  return { relays, through: told.through, nowMs };
}
