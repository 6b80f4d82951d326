// A node's desired document, put together from the Cell's rows when somebody is to have it.
import type { DesiredDocument, DesiredInstance } from "../../contracts/desired.ts";
import type { AppId, NodeId } from "../../contracts/ids.ts";
import { mayPublish } from "./adoption.ts";
import { holdingsOf } from "./holdings.ts";
import { isNamed } from "./upgrade.ts";
import type { CellDurable, CellInstanceRow, CellVolatile } from "./types.ts";

/** The complete document of a node, or null if this Cell does not know the node. volatile: spares a look at every row. */
export function documentOf(durable: CellDurable, id: NodeId, volatile?: CellVolatile): DesiredDocument | null {
  const node = durable.nodes.get(id);
  if (!node || !mayPublish(durable, node)) return null;
  const wanted: DesiredInstance[] = [];
  const routes: Record<string, number> = {};
  const watch: AppId[] = [];
  for (const { desired, state } of node.phase === "removed" ? [] : onNode(durable, id, volatile)) {
    if (state.kind !== "desired") continue;
    wanted.push(desired);
    const { app } = desired;
    if (app in routes) continue;
    const link = durable.apps.get(app);
    routes[app] = link?.routeVersion ?? 0;
    if (link?.watch) watch.push(app);
  }
  const upgrade = isNamed(durable.upgraded.get(id)) ? durable.upgrade.get("upgrade") : undefined;
  const agent = upgrade && { attempt: upgrade.attempt, manifest: upgrade.manifest };
  return { node: id, revision: node.revision, instances: wanted, routes, watch, ...(agent ? { agent } : {}) };
}

function onNode(durable: CellDurable, node: NodeId, volatile?: CellVolatile): Iterable<CellInstanceRow> {
  if (!volatile) return [...durable.instances.values()].filter((row) => row.node === node);
  return holdingsOf(durable, volatile.holdings).onNode.get(node)?.instances.values() ?? [];
}
