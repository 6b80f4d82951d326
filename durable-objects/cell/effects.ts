// How the Cell's effects are carried out: waking polls, messages to Apps, the Region's summary, second opinions, the outbox.
import type { PollResponse } from "../../contracts/agent-protocol.ts";
import type { DesiredDocument } from "../../contracts/desired.ts";
import type { NodeId } from "../../contracts/ids.ts";
import type { CellEffect, CellOutcome } from "../../core/cell/types.ts";
import { assertNever } from "../../core/step.ts";
import type { ObjectEnv } from "../env.ts";
import { callObject } from "../shared/call.ts";
import { controlExports } from "../shared/control-exports.ts";
import { drainOutbox } from "../shared/outbox.ts";
import type { Sockets } from "../shared/sockets.ts";

/** Close code of a revoked node's polls. */
const REVOKED = 4003;

export interface CellEffectTools {
  readonly state: DurableObjectState;
  readonly env: ObjectEnv;
  readonly sockets: Sockets;
  /** Answers the node's poll with its document, if one is held. */
  readonly wake: (node: NodeId) => void;
}

export function pollMessage(desired: DesiredDocument): string {
  const message: PollResponse = { revision: desired.revision, desired, nowMs: Date.now() };
  return JSON.stringify(message);
}

/** Everything up to the first await happens in the turn of the commit; the outcome is stepped as an event of its own. */
export async function runCellEffect(effect: CellEffect, tools: CellEffectTools): Promise<CellOutcome | null> {
  const { state, env, sockets } = tools;
  switch (effect.kind) {
    case "wake_node":
      tools.wake(effect.node);
      return null;
    case "close_node":
      sockets.closeAll(effect.node, REVOKED, "revoked");
      return null;
    case "deliver_messages": {
      const { app, cell, messages } = effect;
      const outcome = await callObject(() => env.APP.getByName(app).deliver({ cell, messages }));
      if (outcome.kind === "unanswered") return { kind: "delivery_failed", app, message: outcome.message };
      return { kind: "delivered", app, ackSeq: outcome.value.ackSeq };
    }
    case "report_summary":
      // Every change is reported anew, and the Region ignores what is older than it knows.
      await callObject(() => env.REGION.getByName(effect.region).report({ summary: effect.summary }));
      return null;
    case "release_place": {
      const { region, node } = effect;
      const outcome = await callObject(() => env.REGION.getByName(region).release({ node }));
      return outcome.kind === "unanswered" ? null : { kind: "place_released", node };
    }
    case "probe_gateway": {
      const { cell, node, gatewayUrl } = effect;
      const outcome = await callObject(() => controlExports(state).GatewayProbe.probe({ cell, node, gatewayUrl }));
      // No answer of the prober says nothing about the node.
      if (outcome.kind === "unanswered") return null;
      return { kind: "gateway_probed", node, answered: outcome.value.answered };
    }
    case "drain_outbox":
      return drainOutbox(state, effect);
    default:
      return assertNever(effect);
  }
}
