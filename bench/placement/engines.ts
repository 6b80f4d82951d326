// Every engine of the benchmark by name, so that a process of its own can be told which one to run.
import { cellsBehindRegion, onePool, type CellCounts, type Cells } from "./berth.ts";
import type { EngineKind } from "./engine.ts";
import { PEERS } from "./peers.ts";

const NODES_PER_CELL = 64;
/** Cells report every 5 s; at half a million decisions a second this is a tenth of one. */
const REPORT_EVERY_AT_SPEED = 50_000;

export const inCells =
  (cells: Omit<Cells, "nodesPerCell">, counts?: CellCounts): EngineKind =>
  (fleet, shapes) =>
    cellsBehindRegion(fleet, shapes, { nodesPerCell: NODES_PER_CELL, ...cells }, counts);

export const BERTH: Readonly<Record<string, EngineKind>> = {
  berth: onePool,
  berthCells: inCells({ reportEvery: REPORT_EVERY_AT_SPEED, apps: "one" }),
};

export const ENGINES: Readonly<Record<string, EngineKind>> = { ...BERTH, ...PEERS };
