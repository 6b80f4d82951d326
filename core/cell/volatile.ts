// What a freshly started Cell object remembers: nothing, so silence is counted from now.
import { emptyLayered } from "../layered.ts";
import type { CellVolatile } from "./types.ts";

export function emptyCellVolatile(nowMs: number): CellVolatile {
  return {
    windowsFromMs: nowMs,
    nodes: emptyLayered(),
    attempts: new Map(),
    summary: null,
    wakeAtMs: null,
    sweptAtMs: nowMs,
    counts: new Map(),
    holdings: null,
  };
}
