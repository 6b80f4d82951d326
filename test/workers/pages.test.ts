// Pages of lists that objects answer whole, and one plan out of those of many cells.
import { describe, expect, it } from "vitest";
import type { Rebalance } from "../../contracts/api.ts";
import { falling, pageOfAll, rising } from "../../workers/control/http/cursor.ts";
import { ApiFailure } from "../../workers/control/http/problem.ts";
import { mergeRebalances } from "../../workers/control/nodes/merge-rebalances.ts";

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe("a page of a list that an object answers whole", () => {
  it("goes on after the last one shown, whatever came and went meanwhile", () => {
    const first = pageOfAll(numbers(1, 10), { limit: 4 }, rising);
    expect(first.items).toEqual([1, 2, 3, 4]);
    const left = numbers(5, 12).filter((number) => number !== 6);
    const second = pageOfAll(left, { limit: 4, cursor: first.nextCursor ?? "" }, rising);
    expect(second.items).toEqual([5, 7, 8, 9]);
    const last = pageOfAll(left, { limit: 4, cursor: second.nextCursor ?? "" }, rising);
    expect(last).toEqual({ items: [10, 11, 12], nextCursor: null });
  });

  it("can begin with the greatest", () => {
    expect(pageOfAll([9, 10, 100, 2], { limit: 3 }, falling).items).toEqual([100, 10, 9]);
  });

  it.each(["%%%", btoa("has a space")])("refuses the cursor %j", (cursor) => {
    expect(() => pageOfAll([1], { limit: 1, cursor }, rising)).toThrow(ApiFailure);
  });
});

const plan = (over: Partial<Rebalance>): Rebalance => ({
  ...{ steps: [], freed: [], nodesUsedBefore: 0, nodesUsedAfter: 0 },
  ...{ utilisationBeforePercent: 0, utilisationAfterPercent: 0, executing: false, reason: null },
  ...over,
});

describe("a rebalance of many cells", () => {
  it("adds up nodes and weighs how full they are by their number", () => {
    const cells = [
      plan({ nodesUsedBefore: 4, nodesUsedAfter: 2, utilisationBeforePercent: 20, utilisationAfterPercent: 40 }),
      plan({
        nodesUsedBefore: 6,
        nodesUsedAfter: 6,
        utilisationBeforePercent: 70,
        utilisationAfterPercent: 70,
        executing: true,
      }),
    ];
    expect(mergeRebalances(cells)).toMatchObject({
      ...{ nodesUsedBefore: 10, nodesUsedAfter: 8, utilisationBeforePercent: 50, utilisationAfterPercent: 62.5 },
      executing: true,
    });
  });

  it("says each reason once where nothing is to be gained, and that there are no nodes where there are none", () => {
    const reason = "no node can be emptied";
    expect(mergeRebalances([plan({ reason }), plan({ reason })]).reason).toBe(reason);
    expect(mergeRebalances([])).toMatchObject({ steps: [], reason: "there are no nodes", utilisationBeforePercent: 0 });
  });
});
