// Which cell a new node of a region belongs to. Pure: the Region object stores what comes out.
import type { CellName, NodeId, RegionName } from "../../contracts/ids.ts";
import type { Durable } from "../../core/step.ts";
import type { CellSummary } from "../../core/messages.ts";

export interface RegionTables {
  /** removedAtMs: its place is free again; the row is kept so that the same node always comes to the cell that refuses it. */
  readonly nodes: { readonly cell: CellName; readonly removedAtMs?: number };
  readonly cells: CellSummary;
}
export const REGION_TABLE_NAMES = ["nodes", "cells"] as const satisfies readonly (keyof RegionTables)[];

/** The cell the node has; else the first with room; else the next one. Cells are numbered from 0 and filled in order. */
export function assignCell(
  { nodes }: Pick<Durable<RegionTables>, "nodes">,
  node: NodeId,
  region: RegionName,
  nodesPerCellMax: number,
): CellName {
  const known = nodes.get(node);
  if (known !== undefined) return known.cell;
  const counts = new Map<string, number>();
  for (const { cell, removedAtMs } of nodes.values())
    if (removedAtMs === undefined) counts.set(cell, (counts.get(cell) ?? 0) + 1);
  for (let number = 0; ; number += 1) {
    const cell = `${region}.${number}` as CellName;
    if ((counts.get(cell) ?? 0) < nodesPerCellMax) return cell;
  }
}

const NONE = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 };

/** Every cell that ever reported or was given a node (its first report is on its way), in the order of their numbers. */
export function cellsOf({ nodes, cells }: Durable<RegionTables>): CellSummary[] {
  const items = new Map<CellName, CellSummary>();
  for (const summary of cells.values()) items.set(summary.cell, summary);
  for (const { cell, removedAtMs } of nodes.values()) {
    if (removedAtMs !== undefined || items.has(cell)) continue;
    const empty = { capacity: NONE, free: NONE, largestFree: NONE, runtimes: [], kinds: [], atMs: 0 };
    items.set(cell, { cell, nodes: 0, readyNodes: 0, ...empty });
  }
  return [...items.values()].sort((a, b) => a.cell.localeCompare(b.cell, "en", { numeric: true }));
}

/** The removed nodes beyond those that are remembered, oldest first. */
export function forgettable({ nodes }: Pick<Durable<RegionTables>, "nodes">, kept: number): string[] {
  const removed = [...nodes].flatMap(([node, { removedAtMs }]) =>
    removedAtMs === undefined ? [] : [{ node, removedAtMs }],
  );
  removed.sort((a, b) => a.removedAtMs - b.removedAtMs);
  return removed.slice(0, Math.max(0, removed.length - kept)).map(({ node }) => node);
}

/** Whether a report says anything new: not an older one, and not the same numbers again. */
export function isNews(known: CellSummary | undefined, told: CellSummary): boolean {
  if (known === undefined) return true;
  return told.atMs >= known.atMs && JSON.stringify({ ...told, atMs: 0 }) !== JSON.stringify({ ...known, atMs: 0 });
}
