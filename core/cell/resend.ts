// Everything an App must know now, in place of the messages that were left out because too many were waiting.
import type { ObservedInstance } from "../../contracts/agent-protocol.ts";
import type { AppId, InstanceId, NodeId } from "../../contracts/ids.ts";
import { isEmptied } from "./availability.ts";
import type { CellContext } from "./context.ts";
import { evacuateSoon } from "./evacuation.ts";
import { linkOf } from "./links.ts";
import { writeMessage } from "./messages.ts";
import { append, whereaboutsOf } from "./node-news.ts";

/** Once the App has acknowledged all that was written. What it waits to have confirmed it asks for again by itself. */
export function resendIfStale(ctx: CellContext, app: AppId): void {
  const link = linkOf(ctx, app);
  if (!link.stale || link.ackedSeq !== link.outSeq) return;
  ctx.draft.put("apps", app, { ...link, stale: false });
  const gone = new Map<NodeId, InstanceId[]>();
  const kept = new Map<NodeId, InstanceId[]>();
  const suspected = new Map<NodeId, InstanceId[]>();
  const staying = new Set<NodeId>();
  const here = new Set<NodeId>();
  const present: { node: NodeId; observed: ObservedInstance }[] = [];
  for (const [id, row] of ctx.holdings.ofApp.get(app) ?? []) {
    const where = whereaboutsOf(ctx, ctx.draft.get("nodes", row.node), row);
    if (where !== "here") append(where === "gone" ? gone : kept, row.node, row.desired.instance);
    if (where !== "here" || row.state.kind !== "desired") continue;
    here.add(row.node);
    const doubted = ctx.draft.get("nodes", row.node)?.suspectTold && row.desired.intent === "run";
    if (doubted) append(suspected, row.node, row.desired.instance);
    // One of the two was perhaps among what was left out.
    if (isEmptied(ctx, row.node)) evacuateSoon(ctx, row.node);
    else staying.add(row.node);
    const observed = ctx.draft.get("observed", id);
    if (observed) present.push({ node: row.node, observed });
  }
  for (const node of here) writeMessage(ctx, app, { kind: "node_back", node });
  for (const node of here) {
    const row = ctx.draft.get("nodes", node);
    if (row?.naming || row?.relay) writeMessage(ctx, app, { kind: "node_moved", node, gatewayUrl: row.gatewayUrl });
  }
  for (const [node, instances] of suspected) writeMessage(ctx, app, { kind: "node_suspect", node, instances });
  for (const node of staying) writeMessage(ctx, app, { kind: "stay", node });
  for (const { node, observed } of present) writeMessage(ctx, app, { kind: "observed", node, observed });
  for (const node of new Set([...gone.keys(), ...kept.keys()])) {
    const still = kept.get(node) ?? [];
    const instances = gone.get(node) ?? [];
    writeMessage(ctx, app, { kind: "node_gone", node, instances, ...(still.length > 0 ? { kept: still } : {}) });
  }
}
