// Which cell a new node of a region belongs to. Pure: the Region object stores what comes out.
import type { CellName, NodeId, RegionName } from "../../contracts/ids.ts";
import type { Durable } from "../../core/step.ts";
import type { CellSummary } from "../rpc.ts";

export interface RegionTables {
  readonly nodes: { readonly cell: CellName };
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
  for (const { cell } of nodes.values()) counts.set(cell, (counts.get(cell) ?? 0) + 1);
  for (let number = 0; ; number += 1) {
    const cell = `${region}.${number}` as CellName;
    if ((counts.get(cell) ?? 0) < nodesPerCellMax) return cell;
  }
}

/** Whether a report says anything new: not an older one, and not the same numbers again. */
export function isNews(known: CellSummary | undefined, told: CellSummary): boolean {
  if (known === undefined) return true;
  return told.atMs >= known.atMs && JSON.stringify({ ...told, atMs: 0 }) !== JSON.stringify({ ...known, atMs: 0 });
}
