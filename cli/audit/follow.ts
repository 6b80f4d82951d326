// `berth audit -f`: tells what comes, each line once, until the caller is refused. An API that is away for a while ends nothing.
import { setTimeout as sleep } from "node:timers/promises";
import pc from "picocolors";
import type { AuditRecord } from "../../contracts/teams.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { lastEntries, type Filter } from "./entries.ts";

const FOLLOW_EVERY_MS = 2_000;
/** A line is numbered before its transaction ends: one that is older than the newest may be seen after it. */
const LOOK_BACK_MS = 10_000;

/** newest: the last that there was at the beginning. From it on, and not from a time of this clock, which is not the server's. */
export async function follow(
  context: Context,
  filter: Filter,
  newest: AuditRecord | undefined,
  tell: (entry: AuditRecord) => Promise<void>,
): Promise<never> {
  process.once("SIGINT", () => process.exit(EXIT.ok));
  const since = (atMs: number | undefined): Filter =>
    atMs === undefined ? filter : { ...filter, from: Math.max(filter.from ?? 0, atMs - LOOK_BACK_MS) };
  let lastAtMs = newest?.atMs;
  let told = new Set<string>();
  if (newest !== undefined) {
    const before = await lastEntries(context, since(lastAtMs), Infinity);
    told = new Set(before.filter(({ id }) => id <= newest.id).map(({ id }) => id));
  }
  for (let isAway = false; ; await sleep(FOLLOW_EVERY_MS)) {
    const entries = await lastEntries(context, since(lastAtMs), Infinity).catch(unlessRefused);
    if (entries instanceof CommandFailure) {
      if (!isAway) context.out.note(pc.yellow(`${entries.message}; still trying`));
      isAway = true;
      continue;
    }
    isAway = false;
    for (const entry of entries) if (!told.has(entry.id)) await tell(entry);
    told = new Set(entries.map(({ id }) => id));
    for (const { atMs } of entries) lastAtMs = Math.max(lastAtMs ?? 0, atMs);
  }
}

/** What passes by itself. */
function unlessRefused(error: unknown): CommandFailure {
  if (!(error instanceof CommandFailure)) throw error;
  const passes = error.exitCode === EXIT.unreachable || error.problem?.code === "rate_limited";
  if (!passes) throw error;
  return error;
}
