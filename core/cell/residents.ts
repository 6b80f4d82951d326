// Who is on a node: its instances in any state, and the reservations on it.
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import type { CellContext } from "./context.ts";
import type { CellInstanceRow } from "./types.ts";

/** Everything that holds room on the node: what belongs there, and what has not yet said that it stopped. */
export function residentsOf(ctx: CellContext, node: NodeId): CellInstanceRow[] {
  return [...(ctx.holdings.onNode.get(node)?.instances.values() ?? [])];
}

/** In order of app, version and ordinal, as people read lists. */
export function inReadingOrder(rows: readonly CellInstanceRow[]): CellInstanceRow[] {
  return [...rows].sort(
    ({ desired: a }, { desired: b }) =>
      compare(a.appName, b.appName) || a.version - b.version || a.ordinal - b.ordinal || a.generation - b.generation,
  );
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export function reservationsOn(ctx: CellContext, node: NodeId): InstanceId[] {
  return [...(ctx.holdings.onNode.get(node)?.reservations.keys() ?? [])];
}

/** `web v3 #0`, and what makes it special. */
export function nameOf({ desired }: CellInstanceRow): string {
  const name = `${desired.appName} v${desired.version} #${desired.ordinal}`;
  return desired.singleton ? `singleton ${name} (${desired.singleton})` : name;
}

/** At most ten names, and how many more there are. */
export function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(", ");
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}
