// The Region object: who is in which cell, and what the cells said of themselves.
import { env } from "cloudflare:workers";
import { evictDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import type { CellName, RegionName } from "../../contracts/ids.ts";
import type { CellSummary } from "../../core/messages.ts";
import { nodeId } from "./ids.ts";

const none = { cpuMilli: 1, memoryBytes: 1, diskBytes: 1, pids: 1 };
const summaryOf = (cell: string, readyNodes: number, atMs: number): CellSummary => ({
  cell: cell as CellName,
  nodes: 3,
  readyNodes,
  capacity: none,
  free: none,
  largestFree: none,
  runtimes: ["docker"],
  atMs,
});

it("fills a cell with 64 nodes, then opens the next, and gives a node the same cell for ever", async () => {
  const region = "fill" as RegionName;
  const stub = () => env.REGION.getByName(region);
  const cells: string[] = [];
  for (let n = 0; n < 66; n += 1) {
    const answer = await stub().assign({ node: nodeId(n), region });
    cells.push(answer.ok ? answer.value.cell : "refused");
  }
  expect(cells.filter((cell) => cell === "fill.0")).toHaveLength(64);
  expect(cells.slice(64)).toEqual(["fill.1", "fill.1"]);
  await evictDurableObject(stub() as never);
  expect(await stub().assign({ node: nodeId(3), region })).toEqual({ ok: true, value: { cell: "fill.0" } });
  expect(await stub().assign({ node: nodeId(65), region })).toEqual({ ok: true, value: { cell: "fill.1" } });
  expect(await stub().assign({ node: nodeId(66), region })).toEqual({ ok: true, value: { cell: "fill.1" } });
});

it("keeps the newest summary of each cell over an eviction, ignores older ones, and lists cells by number", async () => {
  const stub = () => env.REGION.getByName("sums");
  await stub().report({ summary: summaryOf("sums.10", 1, 100) });
  await stub().report({ summary: summaryOf("sums.2", 2, 100) });
  await stub().report({ summary: summaryOf("sums.2", 3, 200) });
  await stub().report({ summary: summaryOf("sums.2", 1, 150) });
  await evictDurableObject(stub() as never);
  const answer = await stub().cells();
  expect(answer.ok && answer.value.items.map(({ cell, readyNodes }) => [cell, readyNodes])).toEqual([
    ["sums.2", 3],
    ["sums.10", 1],
  ]);
});

it("gives a removed node's place to the next one, once, and still knows which cell refuses it", async () => {
  const region = "places" as RegionName;
  const stub = () => env.REGION.getByName(region);
  for (let n = 0; n < 65; n += 1) await stub().assign({ node: nodeId(n), region });
  for (let time = 0; time < 2; time += 1) {
    expect(await stub().release({ node: nodeId(7) })).toEqual({ ok: true, value: null });
    await evictDurableObject(stub() as never);
  }
  expect(await stub().release({ node: nodeId(99) })).toEqual({ ok: true, value: null });
  const cellOf = async (n: number) => {
    const answer = await stub().assign({ node: nodeId(n), region });
    return answer.ok && answer.value.cell;
  };
  expect([await cellOf(65), await cellOf(66), await cellOf(7)]).toEqual(["places.0", "places.1", "places.0"]);
});
