// An App's rows as they go into an empty platform: every number beyond what anybody may have seen, and nothing believed of its nodes.
import { RESTORE_SKIP } from "../../contracts/backup.ts";
import type { CellName } from "../../contracts/ids.ts";
import type { AppCounters, AppRow, CellLinkRow, InstanceRow, RouteRow, SlotRow } from "../app/types.ts";
import type { CopyRow } from "./types.ts";

/** Versions are for people, who see where a restore was: v12, v13, v1001. */
const VERSION_STEP = 1_000;

/** What only a step of then was waiting for, or what was said of the past: it is asked and said anew. */
const DROPPED: ReadonlySet<string> = new Set(["calls", "events", "health", "regions"]);

export interface AppSkip {
  /** Its next event follows on this. */
  readonly eventSeq: number;
  readonly nowMs: number;
  /** How long it waits for the word of its Cells. */
  readonly waitMs: number;
}

export function restoredApp(rows: readonly CopyRow[], skip: AppSkip): CopyRow[] {
  const cells = cellsIn(rows);
  return rows
    .filter(({ table }) => !DROPPED.has(table))
    .map((row) => ({ ...row, value: restoredRow(row, skip, cells) }));
}

function restoredRow(
  { table, value }: CopyRow,
  { eventSeq, nowMs, waitMs }: AppSkip,
  cells: readonly CellName[],
): unknown {
  switch (table) {
    case "app": {
      const row = value as AppRow;
      const restoring = cells.length === 0 ? null : { cells, untilMs: nowMs + waitMs, seen: [] };
      return { ...row, restoring, foreign: null, routeHeld: true };
    }
    case "counters": {
      const row = value as AppCounters;
      const releaseVersion = row.releaseVersion === 0 ? 0 : nextThousand(row.releaseVersion);
      const seqs = { eventSeq, deliveredSeq: eventSeq, prunedSeq: eventSeq };
      return { ...row, ...seqs, releaseVersion, callSeq: row.callSeq + RESTORE_SKIP };
    }
    case "slots": {
      const row = value as SlotRow;
      return { ...row, generation: row.generation + RESTORE_SKIP };
    }
    case "cells": {
      const { outSeq, ...row } = value as CellLinkRow;
      return { ...row, outSeq: outSeq + RESTORE_SKIP, routeVersionTold: 0, routeToldAtMs: 0, openCall: null };
    }
    case "route": {
      const { route } = value as RouteRow;
      return { route: { ...route, version: route.version + RESTORE_SKIP }, publishedVersion: 0, publishedAtMs: 0 };
    }
    case "instances":
      return restoredInstance(value as InstanceRow);
    default:
      return value;
  }
}

function restoredInstance(row: InstanceRow): InstanceRow {
  if (row.phase.kind === "ended") return row;
  return { ...row, observed: null, readySinceMs: null, nodeGone: false, kept: false, suspect: false };
}

const nextThousand = (version: number): number => (Math.floor(version / VERSION_STEP) + 1) * VERSION_STEP;

/** Where it has instances as far as it knows: whose word it waits for. */
function cellsIn(rows: readonly CopyRow[]): CellName[] {
  const cells = new Set<CellName>();
  for (const { table, value } of rows) {
    if (table !== "instances") continue;
    const { phase, cell } = value as InstanceRow;
    if (cell !== null && phase.kind !== "ended" && phase.kind !== "placing") cells.add(cell);
  }
  return [...cells];
}
