// A node's desired document, put together from the Cell's rows.
import type { DesiredDocument, DesiredInstance } from "../../contracts/desired.ts";
import type { AppId, NodeId } from "../../contracts/ids.ts";
import { holdingsOf } from "./holdings.ts";
import type { AppLinkRow, CellDurable, CellInstanceRow, CellVolatile, NodeRow } from "./types.ts";

/** The complete document of a node, or null if this Cell does not know the node. volatile: spares a look at every row. */
export function documentOf(durable: CellDurable, node: NodeId, volatile?: CellVolatile): DesiredDocument | null {
  const row = durable.nodes.get(node);
  if (!row) return null;
  const instances =
    holdingsOf(durable, volatile?.holdings ?? null)
      .onNode.get(node)
      ?.instances.values() ?? [];
  return composeDocument(row, instances, (app) => durable.apps.get(app));
}

/** instances: everything on the node, in any state. */
export function composeDocument(
  node: NodeRow,
  instances: Iterable<CellInstanceRow>,
  linkOf: (app: AppId) => AppLinkRow | undefined,
): DesiredDocument {
  const wanted: DesiredInstance[] = [];
  const routes: Record<string, number> = {};
  const watch: AppId[] = [];
  if (node.phase !== "removed") {
    for (const row of instances) {
      if (row.state.kind !== "desired") continue;
      wanted.push(row.desired);
      const { app } = row.desired;
      if (app in routes) continue;
      const link = linkOf(app);
      routes[app] = link?.routeVersion ?? 0;
      if (link?.watch) watch.push(app);
    }
  }
  return { node: node.id, revision: node.revision, instances: wanted, routes, watch };
}
