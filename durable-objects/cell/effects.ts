// How the Cell's effects are carried out: waking polls, messages to Apps, the Region's summary, second opinions, the outbox.
import { SOCKET_CLOSES } from "../../contracts/agent-socket.ts";
import type { NodeId } from "../../contracts/ids.ts";
import type { CellEffect, CellOutcome } from "../../core/cell/types.ts";
import { assertNever } from "../../core/step.ts";
import type { ObjectEnv } from "../env.ts";
import { callObject } from "../shared/call.ts";
import { controlExports } from "../shared/control-exports.ts";
import { drainOutbox } from "../shared/outbox.ts";
import type { AgentSockets } from "./agent-sockets.ts";
import type { Sockets } from "../shared/sockets.ts";

export interface CellEffectTools {
  readonly state: DurableObjectState;
  readonly env: ObjectEnv;
  readonly sockets: Sockets;
  readonly agents: AgentSockets;
  /** Sends the node its document over what it has open: its held poll, its agent's socket. */
  readonly wake: (node: NodeId) => void;
}

/** Everything up to the first await happens in the turn of the commit; the outcome is stepped as an event of its own. */
export async function runCellEffect(effect: CellEffect, tools: CellEffectTools): Promise<CellOutcome | null> {
  const { state, env, sockets } = tools;
  switch (effect.kind) {
    case "wake_node":
      tools.wake(effect.node);
      return null;
    case "close_node":
      sockets.closeAll(effect.node, SOCKET_CLOSES.revoked, "revoked");
      tools.agents.close(effect.node, SOCKET_CLOSES.revoked, "revoked");
      return null;
    case "deliver_messages": {
      const { app, cell, ackedSeq, messages } = effect;
      const outcome = await callObject(() => env.APP.getByName(app).deliver({ cell, ackedSeq, messages }));
      if (outcome.kind === "unanswered") return { kind: "delivery_failed", app, message: outcome.message };
      return { kind: "delivered", app, ackSeq: outcome.value.ackSeq };
    }
    case "tell_counts": {
      const { app, cell, items } = effect;
      await callObject(() => env.APP.getByName(app).counted({ cell, items }));
      return null;
    }
    case "report_summary":
      // Every change is reported anew, and the Region ignores what is older than it knows.
      await callObject(() => env.REGION.getByName(effect.region).report({ summary: effect.summary }));
      return null;
    case "claim_place": {
      const { region, cell, node } = effect;
      const outcome = await callObject(() => env.REGION.getByName(region).claim({ cell, node }));
      return outcome.kind === "unanswered" ? null : { kind: "place_claimed", node };
    }
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
