// How much a node may have this Cell do of its own accord: a bucket each for heartbeats, flips of conditions, and reports.
import type { NodeId } from "../../contracts/ids.ts";
import { beatOf, countersOf, type CellContext } from "./context.ts";
import type { Bucket, NodeBeat } from "./types.ts";

type Which = keyof NonNullable<NodeBeat["buckets"]>;

/** As many of the wanted as there is left for, if that is at least so many. Volatile: full again after a restart of this object. */
export function allow(ctx: CellContext, node: NodeId, which: Which, wanted: number, atLeast = 1): number {
  if (wanted === 0) return 0;
  const beat = beatOf(ctx, node);
  const left = leftIn(ctx, which, beat.buckets?.[which]);
  const granted = Math.min(wanted, Math.floor(left));
  if (granted < atLeast) return 0;
  ctx.setBeat(node, { ...beat, buckets: { ...beat.buckets, [which]: { left: left - granted, atMs: ctx.nowMs } } });
  return granted;
}

/**
 * The same for what becomes an event and is kept by the node until it is taken: none while too much waits for Postgres, whose
 * absence would otherwise fill this object's memory with it.
 */
export function allowReports(ctx: CellContext, node: NodeId, wanted: number): number {
  const { eventSeq, deliveredSeq } = countersOf(ctx);
  const room = Math.max(0, ctx.limits.reportsWaitingMax - (eventSeq - deliveredSeq));
  return allow(ctx, node, "reports", Math.min(wanted, room));
}

function leftIn({ limits, nowMs }: CellContext, which: Which, bucket: Bucket | undefined): number {
  const burst = { beats: limits.beatsBurst, flips: limits.flipsBurst, reports: limits.reportsBurst }[which];
  if (!bucket) return burst;
  const perMinute = { beats: limits.beatsPerMinute, flips: limits.flipsPerMinute, reports: limits.reportsPerMinute };
  return Math.min(burst, bucket.left + (Math.max(0, nowMs - bucket.atMs) * perMinute[which]) / 60_000);
}
