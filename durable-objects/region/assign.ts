// Which cell a new node of a region belongs to. Pure: the Region object stores what comes out.
import type { CellName, NodeId, RegionName } from "../../contracts/ids.ts";
import type { Durable } from "../../core/step.ts";
import type { CellSummary } from "../../core/messages.ts";

export interface RegionTables {
  /**
   * removedAtMs: its place is free again; the row is kept so that the same node always comes to the cell that refuses it.
   * assignedAtMs: it has not enrolled there yet, as far as its Cell has said.
   */
  readonly nodes: { readonly cell: CellName; readonly removedAtMs?: number; readonly assignedAtMs?: number };
  readonly cells: CellSummary;
  /** Key "current". Which snapshot of the region is the newest, and what it says in short. */
  readonly snapshots: { readonly version: number; readonly digest: string; readonly atMs: number };
}
export const REGION_TABLE_NAMES = ["nodes", "cells", "snapshots"] as const satisfies readonly (keyof RegionTables)[];

/**
 * The cell the node has; else the first with room; else the next one. Cells are numbered from 0 and filled in order. A Cell's
 * own word that it is full counts too.
 */
export function assignCell(
  { nodes, cells }: Pick<Durable<RegionTables>, "nodes" | "cells">,
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
    if (Math.max(counts.get(cell) ?? 0, cells.get(cell)?.nodes ?? 0) < nodesPerCellMax) return cell;
  }
}

const NONE = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 };

/** Every cell that ever reported or was given a node (its first report is on its way), in the order of their numbers. */
export function cellsOf({ nodes, cells }: Pick<Durable<RegionTables>, "nodes" | "cells">): CellSummary[] {
  const items = new Map<CellName, CellSummary>();
  for (const summary of cells.values()) items.set(summary.cell, summary);
  for (const { cell, removedAtMs } of nodes.values()) {
    if (removedAtMs !== undefined || items.has(cell)) continue;
    const empty = { capacity: NONE, free: NONE, largestFree: NONE, runtimes: [], kinds: [], atMs: 0 };
    items.set(cell, { cell, nodes: 0, readyNodes: 0, ...empty });
  }
  return [...items.values()].sort((a, b) => byNumber.compare(a.cell, b.cell));
}

const byNumber = new Intl.Collator("en", { numeric: true });
const texts = new WeakMap<CellSummary, string>();

/**
 * cellsOf as JSON. A summary is written out once in its life, however often the list is put together: after a mass failure
 * thousands of Apps ask in one second while all cells report.
 */
export function cellsText(tables: Durable<RegionTables>): string {
  const items = cellsOf(tables).map((summary) => {
    const known = texts.get(summary);
    if (known !== undefined) return known;
    const text = JSON.stringify(summary);
    texts.set(summary, text);
    return text;
  });
  return `[${items.join(",")}]`;
}

/** Nodes that were given a place long ago and never enrolled. */
export function abandoned({ nodes }: Pick<Durable<RegionTables>, "nodes">, beforeMs: number): string[] {
  return [...nodes].flatMap(([node, { assignedAtMs }]) =>
    assignedAtMs !== undefined && assignedAtMs <= beforeMs ? [node] : [],
  );
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
