// What Apps hear when a node goes or comes back, and which of its instances that means.
import type { AppId, InstanceId } from "../../contracts/ids.ts";
import type { CellContext } from "./context.ts";
import { tellApp } from "./messages.ts";
import { residentsOf } from "./residents.ts";
import type { CellInstanceRow, NodeRow } from "./types.ts";

/**
 * here: nothing is wrong. gone: to be replaced. kept: a singleton that may still run, so it is neither routed to nor
 * replaced (invariant 4). Follows from the rows alone, so that it can be said again at any time.
 */
export type Whereabouts = "here" | "gone" | "kept";

export function whereaboutsOf(ctx: CellContext, node: NodeRow | undefined, row: CellInstanceRow): Whereabouts {
  const { singleton } = row.desired;
  if (!node) return "gone";
  if (row.state.kind === "gone") return row.state.fenced ? "gone" : "here";
  if (node.phase === "lost") return singleton ? "kept" : "gone";
  if (node.phase !== "unreachable") return "here";
  // Nobody restarts what was down when its agent fell silent. Of a singleton that is only sure once it failed for good.
  const status = ctx.draft.get("observed", row.desired.instance)?.status.kind;
  return status === "failed" || (status === "backoff" && !singleton) ? "gone" : "here";
}

/** The node was lost, or nobody hears its agent: each App with instances that this concerns is told which. */
export function tellGone(ctx: CellContext, node: NodeRow): void {
  const gone = new Map<AppId, InstanceId[]>();
  const kept = new Map<AppId, InstanceId[]>();
  for (const row of residentsOf(ctx, node.id)) {
    if (row.state.kind !== "desired") continue;
    const where = whereaboutsOf(ctx, node, row);
    if (where !== "here") append(where === "gone" ? gone : kept, row.desired.app, row.desired.instance);
  }
  for (const app of new Set([...gone.keys(), ...kept.keys()])) {
    tellApp(ctx, app, nodeGone(node, gone.get(app) ?? [], kept.get(app) ?? []));
  }
}

/**
 * `node` as it was while it was silent. What was said of its instances before no longer counts: its next word is news
 * again. A strict singleton that was given up stays given up.
 */
export function tellBack(ctx: CellContext, node: NodeRow): void {
  const apps = new Set<AppId>();
  const fenced = new Map<AppId, InstanceId[]>();
  for (const row of residentsOf(ctx, node.id)) {
    if (whereaboutsOf(ctx, node, row) === "here") continue;
    const { app, instance } = row.desired;
    if (row.state.kind === "gone") append(fenced, app, instance);
    else {
      apps.add(app);
      ctx.draft.drop("observed", instance);
    }
  }
  for (const app of apps) {
    tellApp(ctx, app, { kind: "node_back", node: node.id });
    const instances = fenced.get(app);
    if (instances) tellApp(ctx, app, nodeGone(node, instances, []));
  }
}

export const nodeGone = (node: NodeRow, instances: readonly InstanceId[], kept: readonly InstanceId[]) => ({
  kind: "node_gone" as const,
  node: node.id,
  instances,
  ...(kept.length > 0 ? { kept } : {}),
});

export const append = <Key, Item>(lists: Map<Key, Item[]>, key: Key, item: Item): void => {
  const known = lists.get(key);
  if (known) known.push(item);
  else lists.set(key, [item]);
};
