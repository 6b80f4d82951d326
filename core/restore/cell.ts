// A Cell's rows as they go into an empty platform: revisions and seqs beyond what anybody may have seen, its nodes' word unheard.
import { RESTORE_SKIP } from "../../contracts/backup.ts";
import type { AppId } from "../../contracts/ids.ts";
import type { AppLinkRow, CellCounters, CellRow, NodeRow } from "../cell/tables.ts";
import { ok } from "../results.ts";
import type { CopyRow } from "./types.ts";

export interface CellSkip {
  readonly eventSeq: number;
  readonly nowMs: number;
  /** How long it listens before it publishes anything. */
  readonly adoptMs: number;
  /** Apps that believe they have instances here: all of them are told what is so. */
  readonly apps: readonly AppId[];
}

/** What was waiting, held or said of the past; an upgrade under way is the Region's to begin anew. */
const DROPPED: ReadonlySet<string> = new Set([
  "reservations",
  "answers",
  "observed",
  "held",
  "rebalance",
  "messages",
  "events",
  "upgrade",
  "upgraded",
]);

export function restoredCell(rows: readonly CopyRow[], skip: CellSkip): CopyRow[] {
  const outSeq = skippedOutSeq(rows);
  const restored = rows
    .filter(({ table }) => !DROPPED.has(table))
    .map((row) => ({ ...row, value: restoredRow(row, skip, outSeq) }));
  const linked = new Set(rows.filter(({ table }) => table === "apps").map(({ key }) => key));
  const unknown = skip.apps.filter((app) => !linked.has(app));
  const link: AppLinkRow = {
    inSeq: 0,
    answer: ok(null),
    routeVersion: 0,
    watch: false,
    outSeq,
    ackedSeq: outSeq,
    stale: true,
  };
  return [...restored, ...unknown.map((app) => ({ table: "apps", key: app, value: link }))];
}

/** One number for all Apps, above all that was ever told to any of them. */
function skippedOutSeq(rows: readonly CopyRow[]): number {
  let highest = 0;
  for (const { table, value } of rows) {
    if (table === "apps") highest = Math.max(highest, (value as AppLinkRow).outSeq);
    if (table === "counters") highest = Math.max(highest, (value as CellCounters).forgottenSeq ?? 0);
  }
  return highest + RESTORE_SKIP;
}

function restoredRow({ table, value }: CopyRow, { eventSeq, nowMs, adoptMs }: CellSkip, outSeq: number): unknown {
  switch (table) {
    case "cell":
      return { ...(value as CellRow), frozenSinceMs: null, adoptingUntilMs: nowMs + adoptMs };
    case "counters":
      return { ...(value as CellCounters), eventSeq, deliveredSeq: eventSeq, forgottenSeq: outSeq };
    case "nodes": {
      const { revision, suspectTold: _, ...node } = value as NodeRow;
      // Whoever was lost, or not heard, gets a fresh window like everybody else.
      const phase = node.phase === "lost" || node.phase === "unreachable" ? "ready" : node.phase;
      return { ...node, phase, revision: revision + RESTORE_SKIP, drain: node.drain ?? null };
    }
    case "apps": {
      const { idle: _, ...link } = value as AppLinkRow;
      return { ...link, outSeq, ackedSeq: outSeq, stale: true, watch: false };
    }
    case "leases":
      // Whoever ran on under one is covered again; whoever did not has ended, and says so.
      return { atMs: nowMs };
    default:
      return value;
  }
}
