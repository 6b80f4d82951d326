// A rebalance over many Cells: what one of them cannot do, or is doing already, keeps nothing back.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import type { CellName } from "../../contracts/ids.ts";
import { rebalanceCells } from "../../workers/control/nodes/rebalance-cells.ts";
import { readyNode } from "./fleet.ts";
import { place } from "./placed.ts";
import { resetRecorded } from "./recorded.ts";

beforeEach(resetRecorded);

const actor = "user:operator";
const cellName = (name: string) => name as CellName;

/** Two nodes with an instance each, of which one can be emptied onto the other. */
async function wasteful(n: number, cell: string): Promise<CellName> {
  const [first, second] = [await readyNode(n, cell), await readyNode(n + 1, cell)];
  for (const [at, [open, closed]] of [
    [first, second],
    [second, first],
  ].entries()) {
    await closed!.stub.cordon({ node: closed!.id, actor });
    await place(open!, at + 1);
    await closed!.stub.uncordon({ node: closed!.id, actor });
  }
  return cellName(cell);
}

/** The real Cells, but for one of which nobody is told anything. */
const without = (broken: CellName) => ({
  CELL: {
    ...env.CELL,
    getByName: (name: string): ReturnType<typeof env.CELL.getByName> =>
      name === broken
        ? ({ rebalance: () => Promise.reject(Object.assign(new Error("busy"), { overloaded: true })) } as never)
        : env.CELL.getByName(name),
  },
});

describe("a rebalance of several cells", () => {
  it("is carried out in all of them although one is at it already, and may be asked for again and again", async () => {
    const cells = [await wasteful(1, "many.0"), await wasteful(3, "many.1")];
    const begun = await rebalanceCells(env, cells.slice(0, 1), { actor, execute: true });
    expect(begun).toMatchObject({ executing: true, steps: [{}] });
    const all = await rebalanceCells(env, cells, { actor, execute: true });
    expect(all).toMatchObject({ executing: true, steps: [begun.steps[0], {}] });
    expect(all).not.toHaveProperty("unanswered");
    const again = await rebalanceCells(env, cells, { actor, execute: true });
    expect(again.steps).toEqual(all.steps);
  });

  it("names a cell that cannot be asked, and does what the others can do", async () => {
    const broken = cellName("some.1");
    const cells = [await wasteful(5, "some.0"), broken];
    const plan = await rebalanceCells(without(broken), cells, { actor, execute: true });
    expect(plan).toMatchObject({
      ...{ executing: true, steps: [{}] },
      unanswered: [{ cell: broken, message: expect.stringContaining("busy") }],
    });
  });

  it("fails where no cell can be asked: nothing has begun", async () => {
    const broken = cellName("none.0");
    await expect(rebalanceCells(without(broken), [broken], { actor, execute: true })).rejects.toThrow("busy");
  });
});
