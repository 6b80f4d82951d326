// Region objects: the shipped pure decisions of durable-objects/region over rows; nothing of them is volatile.
import type { CellName, NodeId, RegionName } from "../../contracts/ids.ts";
import type { CellSummary } from "../../core/messages.ts";
import { assignCell, cellsOf, isNews, type RegionTables } from "../../durable-objects/region/assign.ts";

export class RegionHost {
  readonly name: RegionName;
  private readonly nodes = new Map<string, RegionTables["nodes"]>();
  private readonly summaries = new Map<string, CellSummary>();
  private readonly nodesPerCellMax: number;

  constructor(name: RegionName, nodesPerCellMax: number) {
    this.name = name;
    this.nodesPerCellMax = nodesPerCellMax;
  }

  assign(node: NodeId, nowMs: number): CellName {
    const cell = assignCell({ nodes: this.nodes, cells: this.summaries }, node, this.name, this.nodesPerCellMax);
    this.nodes.set(node, { cell, assignedAtMs: nowMs });
    return cell;
  }
  /** The node has enrolled there. */
  claim(node: NodeId, cell: CellName): void {
    if (this.nodes.get(node)?.assignedAtMs !== undefined) this.nodes.set(node, { cell });
  }
  /** A removed node's place may go to another. */
  release(node: NodeId, removedAtMs: number): void {
    const known = this.nodes.get(node);
    if (known) this.nodes.set(node, { ...known, removedAtMs });
  }
  report(summary: CellSummary): void {
    if (isNews(this.summaries.get(summary.cell), summary)) this.summaries.set(summary.cell, summary);
  }
  cells(): CellSummary[] {
    return cellsOf({ nodes: this.nodes, cells: this.summaries });
  }
}
