// Which cells take part in a stage, with how many nodes, and whether a stage is over.
import { UPGRADE_STAGES, type UpgradeStage } from "../../contracts/agent-release.ts";
import type { CellName } from "../../contracts/ids.ts";
import type { Limits } from "../limits.ts";
import type { CellUpgradeView } from "../messages.ts";
import type { UpgradeRow } from "./types.ts";

type Scope = Pick<UpgradeRow, "cells" | "stage" | "begun">;

/** Before the first stage all cells are asked who could begin; after that, those that are in. */
export function cellsIn({ cells, stage, begun }: Scope, { upgradePartPercent }: Limits): readonly CellName[] {
  if (!begun) return cells;
  switch (stage) {
    case "one_node":
    case "one_cell":
      return cells.slice(0, 1);
    case "ten_percent":
      return cells.slice(0, Math.max(1, Math.ceil((cells.length * upgradePartPercent) / 100)));
    case "all":
      return cells;
  }
}

/** How many nodes of each of these may have the new agent by the end of the stage; null: all of them. */
export function nodesMaxIn({ stage, begun, state }: Pick<UpgradeRow, "stage" | "begun" | "state">): number | null {
  if (!begun || state.kind !== "running") return 0;
  return stage === "one_node" ? 1 : null;
}

/** Of a view that answers the present word. In the first stage one well node is enough. */
export function isDone(stage: UpgradeStage, { counts }: CellUpgradeView): boolean {
  if (counts.underWay > 0) return false;
  return counts.waiting === 0 || (stage === "one_node" && counts.upgraded > 0);
}

export const stageAfter = (stage: UpgradeStage): UpgradeStage | null =>
  UPGRADE_STAGES[UPGRADE_STAGES.indexOf(stage) + 1] ?? null;

export const STAGE_WORDS: Record<UpgradeStage, string> = {
  one_node: "one node",
  one_cell: "one cell",
  ten_percent: "a tenth of the cells",
  all: "all nodes",
};
