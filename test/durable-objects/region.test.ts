// The Region object: who is in which cell, and what the cells said of themselves.
import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import type { CellName, RegionName } from "../../contracts/ids.ts";
import type { CellSummary } from "../../core/messages.ts";
import { cellsIn } from "./fleet.ts";
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
  const numbers = async () => (await cellsIn("sums")).map(({ cell, readyNodes }) => [cell, readyNodes]);
  expect(await numbers()).toEqual([
    ["sums.2", 3],
    ["sums.10", 1],
  ]);
  // Its text is put together anew at every change, and only then.
  await stub().report({ summary: summaryOf("sums.10", 0, 300) });
  await stub().assign({ node: nodeId(1), region: "sums" as RegionName });
  expect(await numbers()).toEqual([
    ["sums.0", 0],
    ["sums.2", 3],
    ["sums.10", 0],
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

it("gives the places of abandoned enrolments to others after an hour, but none that was claimed or tried for again", async () => {
  const region = "patient" as RegionName;
  const stub = () => env.REGION.getByName(region);
  const assign = async (n: number) => {
    const answer = await stub().assign({ node: nodeId(n), region });
    return answer.ok && answer.value.cell;
  };
  const pass = async (minutes: number) => {
    await runInDurableObject(stub() as never, (_region: never, { storage }) => {
      for (const { row_key, value } of storage.sql.exec("SELECT row_key, value FROM object_row").toArray()) {
        const row = JSON.parse(String(value)) as { assignedAtMs?: number };
        if (row.assignedAtMs === undefined) continue;
        const older = JSON.stringify({ ...row, assignedAtMs: row.assignedAtMs - minutes * 60_000 });
        storage.sql.exec("UPDATE object_row SET value = ? WHERE row_key = ?", older, row_key);
      }
    });
    await evictDurableObject(stub() as never);
  };
  for (let n = 0; n < 64; n += 1) expect(await assign(n)).toBe("patient.0");
  for (let n = 0; n < 64; n += 2) await stub().claim({ node: nodeId(n), cell: "patient.0" as CellName });
  await pass(59);
  expect(await assign(1)).toBe("patient.0");
  expect(await assign(64)).toBe("patient.1");
  await pass(2);
  // 32 are claimed, one was tried for again, one is new.
  expect(await assign(65)).toBe("patient.0");
  expect(await assign(64)).toBe("patient.1");
  for (let n = 100; n < 130; n += 1) expect(await assign(n)).toBe("patient.0");
  expect(await assign(130)).toBe("patient.1");
  await pass(61);
  await stub().report({ summary: { ...summaryOf("patient.0", 3, 100), nodes: 64 } });
  expect(await assign(131), "the Cell says that it is full").toBe("patient.1");
});

it("gives nobody the turn to make a snapshot while it has no node: an empty region stays empty, so that a backup goes in", async () => {
  const stub = env.REGION.getByName("wiped");
  const turn = async () => {
    const answer = await stub.snapshot({ insist: true });
    return answer.ok && answer.value.turn;
  };
  expect(await turn()).toBe(false);
  await stub.assign({ node: nodeId(1), region: "wiped" as RegionName });
  expect(await turn()).toBe(true);
});
