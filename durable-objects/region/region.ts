// The Region object, named by its region: which cells there are, which node is in which, and how full they said they are.
import { DurableObject } from "cloudflare:workers";
import type { Result } from "../../contracts/failures.ts";
import type { CellName, NodeId, RegionName } from "../../contracts/ids.ts";
import { limitsFrom, type Limits } from "../../core/limits.ts";
import type { ObjectEnv } from "../env.ts";
import type { CellSummary } from "../../core/messages.ts";
import type { RowChange } from "../../core/step.ts";
import type { RegionRpc } from "../rpc.ts";
import { LAYOUT } from "../shared/layout.ts";
import { migrate } from "../shared/migrations.ts";
import { RowTables } from "../shared/row-tables.ts";
import { answer } from "../shared/answer.ts";
import { StateCopy } from "../shared/state-copy.ts";
import { restoredRegion } from "../../core/restore/region.ts";
import type { CopyRow, DumpInput, LoadInput } from "../../core/restore/types.ts";
import type { ChangeUpgrade, StartUpgrade } from "../../core/upgrade/types.ts";
import type { RegionTables } from "./assign.ts";
import { cellsOf, abandoned, assignCell, cellsText, forgettable, isNews, REGION_TABLE_NAMES } from "./assign.ts";
import { RegionUpgrade } from "./upgrade.ts";

export class Region extends DurableObject<ObjectEnv> implements RegionRpc {
  readonly #limits: Limits;
  readonly #upgrade: RegionUpgrade;
  readonly #copy: StateCopy;
  #tables: RowTables<RegionTables> | null = null;
  /** What `cells` answers, until a row changes. */
  #cellsText: string | null = null;
  #snapshotTurnAtMs = -Infinity;

  constructor(state: DurableObjectState, env: ObjectEnv) {
    super(state, env);
    this.#limits = limitsFrom(env.TUNING);
    this.#upgrade = new RegionUpgrade(state, env, this.#limits);
    this.#copy = new StateCopy(state.storage);
    void state.blockConcurrencyWhile(async () => {
      migrate(state.storage, LAYOUT);
      this.#tables = new RowTables<RegionTables>(state.storage, REGION_TABLE_NAMES);
    });
  }

  /** The same node always gets the same cell, however often an enrolment is tried. */
  async assign(input: { node: NodeId; region: RegionName }): Promise<Result<{ cell: CellName }>> {
    const { node, region } = input;
    const tables = this.#started();
    const { nodesPerCellMax, placeUnclaimedMs } = this.#limits;
    const nowMs = Date.now();
    this.#forget(abandoned(tables.durable, nowMs - placeUnclaimedMs));
    const cell = assignCell(tables.durable, node, region, nodesPerCellMax);
    const known = tables.durable.nodes.get(node);
    // Whoever tries again gets the whole time again.
    if (known === undefined || known.assignedAtMs !== undefined) {
      this.#apply([{ kind: "put", table: "nodes", key: node, value: { cell, assignedAtMs: nowMs } }]);
    }
    return { ok: true, value: { cell } };
  }

  async claim({ node, cell }: { node: NodeId; cell: CellName }): Promise<Result<null>> {
    const row = this.#started().durable.nodes.get(node);
    if (row?.removedAtMs === undefined && (row === undefined || row.assignedAtMs !== undefined)) {
      this.#apply([{ kind: "put", table: "nodes", key: node, value: { cell } }]);
    }
    return { ok: true, value: null };
  }

  async release({ node }: { node: NodeId }): Promise<Result<null>> {
    const tables = this.#started();
    const row = tables.durable.nodes.get(node);
    if (row !== undefined && row.removedAtMs === undefined) {
      const { cell } = row;
      this.#apply([{ kind: "put", table: "nodes", key: node, value: { cell, removedAtMs: Date.now() } }]);
      const { removedNodesKept, nodesPerCellMax } = this.#limits;
      this.#forget(forgettable(tables.durable, removedNodesKept * nodesPerCellMax));
    }
    return { ok: true, value: null };
  }

  async cells(): Promise<Result<{ itemsJson: string }>> {
    this.#cellsText ??= cellsText(this.#started().durable);
    return { ok: true, value: { itemsJson: this.#cellsText } };
  }

  async report(input: { summary: CellSummary }): Promise<Result<null>> {
    const { summary } = input;
    const tables = this.#started();
    if (isNews(tables.durable.cells.get(summary.cell), summary)) {
      this.#apply([{ kind: "put", table: "cells", key: summary.cell, value: summary }]);
    }
    return { ok: true, value: null };
  }

  /**
   * Turns are not stored: after a restart one snapshot is looked at once more than was needed. A region without nodes gets none: agents
   * that ask a lost platform before it is restored would leave a row here, and a backup goes only into empty objects.
   */
  async snapshot({ insist }: { insist: boolean }) {
    const { snapshots, nodes } = this.#started().durable;
    const { version = 0, digest = "" } = snapshots.get("current") ?? {};
    const nowMs = Date.now();
    const turn = nodes.size > 0 && (insist || nowMs - this.#snapshotTurnAtMs >= this.#limits.snapshotMakeMs);
    if (turn) this.#snapshotTurnAtMs = nowMs;
    return { ok: true, value: { version, digest, turn } } as const;
  }

  async snapshotMade({ version, digest }: { version: number; digest: string }) {
    const known = this.#started().durable.snapshots.get("current")?.version ?? 0;
    const newest = version > known;
    const value = { version, digest, atMs: Date.now() };
    if (newest) this.#apply([{ kind: "put", table: "snapshots", key: "current", value }]);
    return { ok: true, value: { newest } } as const;
  }

  async startUpgrade(input: StartUpgrade) {
    const cells = cellsOf(this.#started().durable).map(({ cell }) => cell);
    return this.#upgrade.start(input, cells);
  }
  async changeUpgrade(input: ChangeUpgrade) {
    return this.#upgrade.change(input);
  }
  async readUpgrade() {
    return this.#upgrade.read();
  }
  async poke() {
    return this.#upgrade.poke();
  }

  /** Only for the operator's backup. */
  async dump(input: DumpInput) {
    return answer("Region.dump", () => this.#copy.dump(input));
  }
  async load(input: LoadInput) {
    const turn = (rows: readonly CopyRow[]) => restoredRegion(rows, input.eventSeq);
    return answer("Region.load", () =>
      this.#copy.load(input, turn, () => {
        this.#started().read();
        this.#cellsText = null;
        this.#upgrade.startAnew();
      }),
    );
  }

  override alarm(): void {
    this.#upgrade.alarm();
  }

  #forget(nodes: readonly string[]): void {
    this.#apply(nodes.map((key) => ({ kind: "delete", table: "nodes", key })));
  }

  #apply(changes: readonly RowChange<RegionTables>[]): void {
    this.#started().apply(changes);
    if (changes.length > 0) this.#cellsText = null;
  }

  #started(): RowTables<RegionTables> {
    if (this.#tables === null) throw new Error("the object has not started");
    return this.#tables;
  }
}
