// Two servers with one identity: a disk that was copied. An agent's start ends the one before; who still speaks as that one, lives.
import type { NodeCondition } from "../../contracts/agent-protocol.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { PROOF_WINDOW_MS } from "../link/too-late.ts";
import { beatOf, type CellContext } from "./context.ts";

const MESSAGE =
  "two servers speak with the identity of this node: a disk was copied. The one whose agent started last is heard; " +
  "on the other one take Berth away (--uninstall --containers stop) and install it with a token of its own";

/** A heartbeat of an older start was refused. One that was under way when the agent started anew proves nothing, and is over soon. */
export function hearOlderStart(ctx: CellContext, node: NodeId): void {
  const beat = beatOf(ctx, node);
  const startedAtMs = beat.bootSinceMs ?? ctx.windowsFromMs;
  if (ctx.nowMs - startedAtMs <= PROOF_WINDOW_MS) return;
  ctx.setBeat(node, { ...beat, twinAtMs: ctx.nowMs });
}

/** For as long as the other one speaks. It blocks placements: nobody can say where they would come to run after the next start. */
export function clonedCondition(ctx: CellContext, node: NodeId): NodeCondition[] {
  const { twinAtMs } = beatOf(ctx, node);
  if (twinAtMs === undefined || ctx.nowMs - twinAtMs > ctx.limits.clonedForMs) return [];
  return [{ kind: "identity_cloned", message: MESSAGE, sinceMs: twinAtMs }];
}
