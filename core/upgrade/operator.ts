// What an operator asks of a region's upgrade: start, pause, resume, abort. Null: done, the view says what is so.
import type { Result } from "../../contracts/failures.ts";
import type { CellName } from "../../contracts/ids.ts";
import { refuse } from "../results.ts";
import { assertNever } from "../step.ts";
import { isOpen, rowOf, tell, type UpgradeContext } from "./context.ts";
import type { ChangeUpgrade, StartUpgrade, UpgradeRow } from "./types.ts";

export function start(
  ctx: UpgradeContext,
  { actor, next, ...wanted }: StartUpgrade,
  cells: readonly CellName[],
): Result<never> | null {
  const known = rowOf(ctx);
  if (known?.attempt === wanted.attempt) return null;
  if (known && isOpen(known)) {
    const told = `An upgrade to ${known.version} is ${known.state.kind} in ${known.region} since its start by ${known.startedBy}`;
    return refuse("conflict", `${told}: resume or abort that one first.`);
  }
  for (const [cell] of [...ctx.draft.entries("upgradeViews")]) ctx.draft.drop("upgradeViews", cell);
  const row: UpgradeRow = {
    ...wanted,
    next,
    startedAtMs: ctx.nowMs,
    startedBy: actor,
    seq: (known?.seq ?? 0) + 1,
    state: { kind: "running" },
    stage: "one_node",
    stageSinceMs: ctx.nowMs,
    // A cell that has not heard of the last one's end hears of this one instead.
    cells,
    begun: false,
    unclosed: [],
    handOver: false,
    story: [],
  };
  askAnew(ctx);
  tell(ctx, row, { type: "upgrade.started", text: `upgrade to ${row.version} started by ${actor}`, actor });
  return null;
}

export function change(ctx: UpgradeContext, { change: word, actor, reason }: ChangeUpgrade): Result<never> | null {
  const row = rowOf(ctx);
  if (!row) return refuse("not_found", "No upgrade was ever started in this region.");
  const because = reason === undefined ? "" : `: ${reason}`;
  const seq = row.seq + 1;
  const { kind } = row.state;
  const refused = () => refuse("conflict", `The upgrade to ${row.version} is ${kind}: it cannot ${word}.`);
  askAnew(ctx);
  switch (word) {
    case "pause": {
      if (kind === "paused") return null;
      if (kind !== "running") return refused();
      const paused = { ...row, seq, state: { kind: "paused" as const } };
      tell(ctx, paused, { type: "upgrade.paused", text: `paused by ${actor}${because}`, actor });
      return null;
    }
    case "resume": {
      if (kind === "running") return null;
      if (kind !== "paused") return refused();
      const stageSinceMs = ctx.nowMs;
      const resumed = { ...row, seq, stageSinceMs, state: { kind: "running" as const } };
      tell(ctx, resumed, { type: "upgrade.resumed", text: `resumed by ${actor}${because}`, actor });
      return null;
    }
    case "abort": {
      if (kind === "aborted") return null;
      if (!isOpen(row)) return refused();
      const state = { kind: "aborted" as const, atMs: ctx.nowMs };
      const text = `aborted by ${actor}${because}; who has ${row.version} keeps it`;
      tell(ctx, { ...row, seq, state, unclosed: row.cells }, { type: "upgrade.aborted", text, actor });
      return null;
    }
    default:
      return assertNever(word);
  }
}

/** The word is new: no cell waits for its turn to be asked. */
function askAnew(ctx: UpgradeContext): void {
  for (const key of [...ctx.attempts.keys()]) if (key.startsWith("cell:")) ctx.attempts.settle(key);
}
