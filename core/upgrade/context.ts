// What the parts of one step of a region's upgrade share, and how it tells what happens.
import type { EventType } from "../../contracts/events.ts";
import type { EventId } from "../../contracts/ids.ts";
import type { Attempts } from "../attempts.ts";
import type { Draft } from "../draft.ts";
import { seqKey } from "../keys.ts";
import type { Limits } from "../limits.ts";
import type { UpgradeEffect, UpgradeRow, UpgradeTables } from "./types.ts";

export interface UpgradeContext {
  readonly draft: Draft<UpgradeTables>;
  readonly nowMs: number;
  readonly limits: Limits;
  readonly attempts: Attempts;
  readonly effects: UpgradeEffect[];
}

export const rowOf = (ctx: UpgradeContext): UpgradeRow | undefined => ctx.draft.get("upgrade", "upgrade");
export const putRow = (ctx: UpgradeContext, row: UpgradeRow): void => ctx.draft.put("upgrade", "upgrade", row);

const NO_COUNTERS = { eventSeq: 0, deliveredSeq: 0 };
export const countersOf = (ctx: UpgradeContext) => ctx.draft.get("upgradeCounters", "counters") ?? NO_COUNTERS;

export const isOpen = ({ state }: UpgradeRow): boolean => state.kind === "running" || state.kind === "paused";

/** A line of its story, and an event: the row as it is from now on, with the line in it. */
export function tell(
  ctx: UpgradeContext,
  row: UpgradeRow,
  told: { type: EventType; text: string; actor?: string; data?: Record<string, unknown> },
): void {
  const { region, attempt, version } = row;
  const story = [...row.story, { atMs: ctx.nowMs, text: told.text }].slice(-ctx.limits.upgradeStoryMax);
  putRow(ctx, { ...row, story });
  const counters = countersOf(ctx);
  const seq = counters.eventSeq + 1;
  const source = `region:${region}`;
  ctx.draft.put("upgradeCounters", "counters", { ...counters, eventSeq: seq });
  ctx.draft.put("upgradeEvents", seqKey(seq), {
    id: `${source}#${seq}` as EventId,
    source,
    seq,
    type: told.type,
    version: 1,
    team: null,
    subject: region,
    actor: told.actor ?? "system",
    causeId: null,
    atMs: ctx.nowMs,
    data: { attempt, version, message: told.text, ...told.data },
  });
}
