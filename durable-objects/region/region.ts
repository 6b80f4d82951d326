// The Region object, named by its region: which cells there are, which node is in which, and how full they said they are.
import { DurableObject } from "cloudflare:workers";
import type { Result } from "../../contracts/failures.ts";
import type { CellName, NodeId, RegionName } from "../../contracts/ids.ts";
import { limitsFrom, type Limits } from "../../core/limits.ts";
import type { ObjectEnv } from "../env.ts";
import type { CellSummary } from "../../core/messages.ts";
import type { RegionRpc } from "../rpc.ts";
import { LAYOUT } from "../shared/layout.ts";
import { migrate } from "../shared/migrations.ts";
import { RowTables } from "../shared/row-tables.ts";
import type { RegionTables } from "./assign.ts";
import { assignCell, cellsOf, forgettable, isNews, REGION_TABLE_NAMES } from "./assign.ts";

export class Region extends DurableObject<ObjectEnv> implements RegionRpc {
  readonly #limits: Limits;
  #tables: RowTables<RegionTables> | null = null;

  constructor(state: DurableObjectState, env: ObjectEnv) {
    super(state, env);
    this.#limits = limitsFrom(env.TUNING);
    void state.blockConcurrencyWhile(async () => {
      migrate(state.storage, LAYOUT);
      this.#tables = new RowTables<RegionTables>(state.storage, REGION_TABLE_NAMES);
    });
  }

  /** The same node always gets the same cell, however often an enrolment is tried. */
  async assign(input: { node: NodeId; region: RegionName }): Promise<Result<{ cell: CellName }>> {
    const { node, region } = input;
    const tables = this.#started();
    const cell = assignCell(tables.durable, node, region, this.#limits.nodesPerCellMax);
    if (!tables.durable.nodes.has(node)) tables.apply([{ kind: "put", table: "nodes", key: node, value: { cell } }]);
    return { ok: true, value: { cell } };
  }

  async release({ node }: { node: NodeId }): Promise<Result<null>> {
    const tables = this.#started();
    const row = tables.durable.nodes.get(node);
    if (row !== undefined && row.removedAtMs === undefined) {
      tables.apply([{ kind: "put", table: "nodes", key: node, value: { ...row, removedAtMs: Date.now() } }]);
      const { removedNodesKept, nodesPerCellMax } = this.#limits;
      const gone = forgettable(tables.durable, removedNodesKept * nodesPerCellMax);
      tables.apply(gone.map((key) => ({ kind: "delete", table: "nodes", key })));
    }
    return { ok: true, value: null };
  }

  async cells(): Promise<Result<{ items: CellSummary[] }>> {
    return { ok: true, value: { items: cellsOf(this.#started().durable) } };
  }

  async report(input: { summary: CellSummary }): Promise<Result<null>> {
    const { summary } = input;
    const tables = this.#started();
    if (isNews(tables.durable.cells.get(summary.cell), summary)) {
      tables.apply([{ kind: "put", table: "cells", key: summary.cell, value: summary }]);
    }
    return { ok: true, value: null };
  }

  #started(): RowTables<RegionTables> {
    if (this.#tables === null) throw new Error("the object has not started");
    return this.#tables;
  }
}
