// A rebalance over many cells: each is asked, and one that cannot be does not keep back what the others said.
import type { Rebalance } from "../../../contracts/api.ts";
import type { CellName } from "../../../contracts/ids.ts";
import type { ControlEnv } from "../env.ts";
import { inBatches } from "../http/ask.ts";
import { failureOf } from "../http/problem.ts";
import { askCell } from "./find-node.ts";
import { mergeRebalances } from "./merge-rebalances.ts";

const CELLS_ASKED_AT_ONCE = 16;

/** Throws only where no cell at all answered: then nothing is known to have begun. It may be repeated: see Cell.rebalance. */
export async function rebalanceCells(
  env: Pick<ControlEnv, "CELL">,
  cells: readonly CellName[],
  input: { readonly actor: string; readonly execute: boolean },
): Promise<Rebalance> {
  const errors: unknown[] = [];
  const answers = await inBatches(cells, CELLS_ASKED_AT_ONCE, async (cell) => {
    try {
      return await askCell(env, { cell }, (object) => object.rebalance(input));
    } catch (error) {
      errors.push(error);
      const { failure } = failureOf(error);
      console.error(JSON.stringify({ cell, asked: "rebalance", code: failure.code, error: String(error) }));
      return { cell, message: failure.message };
    }
  });
  const plans = answers.flatMap((answer) => ("cell" in answer ? [] : [answer]));
  const unanswered = answers.flatMap((answer) => ("cell" in answer ? [answer] : []));
  if (errors.length > 0 && plans.length === 0) throw errors[0];
  return mergeRebalances(plans, unanswered);
}
