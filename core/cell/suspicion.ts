// What Apps hear of a suspect node: they hold room elsewhere, and give it back if the node is not lost after all.
import type { AppId, InstanceId } from "../../contracts/ids.ts";
import { beatOf, type CellContext } from "./context.ts";
import { tellApp } from "./messages.ts";
import { append } from "./node-news.ts";
import { residentsOf } from "./residents.ts";
import type { NodeRow } from "./types.ts";

/**
 * Level-triggered, against what was told: suspicion itself is forgotten at a restart, what Apps were told is not. While
 * rescheduling is frozen nothing will be called lost, so that no room is held either.
 */
export function watchSuspicions(ctx: CellContext, frozen: boolean): void {
  for (const node of ctx.draft.values("nodes")) {
    const suspect = !frozen && node.phase === "ready" && beatOf(ctx, node.id).suspectSinceMs !== null;
    if (suspect === (node.suspectTold ?? false)) continue;
    ctx.draft.put("nodes", node.id, { ...node, suspectTold: suspect });
    const told = runningOn(ctx, node);
    if (suspect) {
      for (const [app, instances] of told) tellApp(ctx, app, { kind: "node_suspect", node: node.id, instances });
    } else if (node.phase === "ready" || node.phase === "unreachable") {
      // Of one that was lost or removed `node_gone` has said more.
      for (const app of told.keys()) tellApp(ctx, app, { kind: "node_cleared", node: node.id });
    }
  }
}

/** What is to serve on: an instance that drains is not replaced. */
function runningOn(ctx: CellContext, node: NodeRow): Map<AppId, InstanceId[]> {
  const running = new Map<AppId, InstanceId[]>();
  for (const { desired, state } of residentsOf(ctx, node.id)) {
    if (state.kind === "desired" && desired.intent === "run") append(running, desired.app, desired.instance);
  }
  return running;
}
