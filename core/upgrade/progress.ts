// How a region's upgrade moves: what a cell says, the gate at the end of a stage, and what stops it.
import type { UpgradeFault } from "../../contracts/agent-release.ts";
import type { CellName } from "../../contracts/ids.ts";
import type { CellUpgradeView } from "../messages.ts";
import { isOpen, rowOf, tell, type UpgradeContext } from "./context.ts";
import { cellsIn, isDone, STAGE_WORDS, stageAfter } from "./stages.ts";
import type { UpgradeRow } from "./types.ts";
import { sumOf } from "./views.ts";

export function heard(ctx: UpgradeContext, cell: CellName, view: CellUpgradeView): void {
  const row = rowOf(ctx);
  if (!row || view.attempt !== row.attempt || !row.cells.includes(cell)) return;
  const known = ctx.draft.get("upgradeViews", cell);
  if (known !== undefined && view.seq < known.seq) return;
  if (JSON.stringify(known) !== JSON.stringify(view)) ctx.draft.put("upgradeViews", cell, view);
  const key = `cell:${cell}`;
  ctx.attempts.settle(key);
  if (isOpen(row)) {
    // An answer to an older word is no answer: the present one is said at once.
    if (view.seq === row.seq) ctx.attempts.postpone(key, ctx.nowMs + ctx.limits.upgradeLookMs);
    if (view.fault) stop(ctx, row, view.fault);
  } else if (view.seq === row.seq) {
    ctx.draft.put("upgrade", "upgrade", { ...row, unclosed: row.unclosed.filter((name) => name !== cell) });
  }
}

export function handedOver(ctx: UpgradeContext, attempt: string, refusal: string | null): void {
  const row = rowOf(ctx);
  if (row?.attempt !== attempt || !row.handOver) return;
  const [region] = row.next;
  const text = refusal === null ? `${region} goes on` : `${region} did not take over: ${refusal}`;
  // A region that is busy with another upgrade, and those behind it, are not waited for.
  const next = refusal === null ? row.next : [];
  tell(ctx, { ...row, next, handOver: false }, { type: "upgrade.stage", text });
}

/** A cell that says nothing for long is not to be gone past, nor to be waited for without end. */
export function lookAtSilence(ctx: UpgradeContext, sinceMs: number, heardAtMs: ReadonlyMap<CellName, number>): void {
  const row = rowOf(ctx);
  if (row?.state.kind !== "running") return;
  const { upgradeSilentMs } = ctx.limits;
  for (const cell of cellsIn(row, ctx.limits)) {
    const lastMs = Math.max(sinceMs, row.stageSinceMs, heardAtMs.get(cell) ?? 0);
    if (ctx.nowMs < lastMs + upgradeSilentMs) continue;
    const why = `the cell has not answered for ${Math.round((ctx.nowMs - lastMs) / 1_000)} s`;
    return stop(ctx, row, { node: null, name: cell, why });
  }
}

/** From stage to stage for as long as the gate is open; what passes at once passes in one step. */
export function moveOn(ctx: UpgradeContext): void {
  for (let row = rowOf(ctx); row?.state.kind === "running"; row = rowOf(ctx)) {
    const views = viewsOf(ctx, row);
    if (views === null) return;
    if (!row.begun) begin(ctx, row);
    else if (!views.every((view) => isDone(row!.stage, view))) return;
    else nextStage(ctx, row);
  }
}

/** What the cells of the stage say to the present word; null while one has not answered it. */
function viewsOf(ctx: UpgradeContext, row: UpgradeRow): CellUpgradeView[] | null {
  const views = cellsIn(row, ctx.limits).map((cell) => ctx.draft.get("upgradeViews", cell));
  return views.every((view) => view?.seq === row.seq) ? (views as CellUpgradeView[]) : null;
}

/** The first cell that has a node to begin with comes first; one that took an earlier word before them all. */
function begin(ctx: UpgradeContext, row: UpgradeRow): void {
  const has = (name: "underWay" | "upgraded" | "waiting") =>
    row.cells.find((cell) => (ctx.draft.get("upgradeViews", cell)?.counts[name] ?? 0) > 0);
  const first = has("underWay") ?? has("upgraded") ?? has("waiting");
  if (first === undefined) return complete(ctx, row);
  const cells = [first, ...row.cells.filter((cell) => cell !== first)];
  enter(ctx, { ...row, cells, begun: true, seq: row.seq + 1, stageSinceMs: ctx.nowMs });
}

function nextStage(ctx: UpgradeContext, row: UpgradeRow): void {
  const [first] = row.cells;
  const upgraded = first === undefined ? 0 : (ctx.draft.get("upgradeViews", first)?.counts.upgraded ?? 0);
  // The node to begin with went away before it was told: nothing is proven yet, so another one begins.
  if (row.stage === "one_node" && upgraded === 0) {
    return ctx.draft.put("upgrade", "upgrade", { ...row, begun: false, seq: row.seq + 1, stageSinceMs: ctx.nowMs });
  }
  const stage = stageAfter(row.stage);
  if (stage === null) return complete(ctx, row);
  const moved = { ...row, stage, stageSinceMs: ctx.nowMs };
  const isWider = cellsIn(moved, ctx.limits).length > cellsIn(row, ctx.limits).length || row.stage === "one_node";
  // A region of one cell has nothing more for the last two stages: no word, no wait.
  if (!isWider) return ctx.draft.put("upgrade", "upgrade", moved);
  enter(ctx, { ...moved, seq: row.seq + 1 });
}

function enter(ctx: UpgradeContext, row: UpgradeRow): void {
  for (const cell of cellsIn(row, ctx.limits)) ctx.attempts.settle(`cell:${cell}`);
  const cells = cellsIn(row, ctx.limits);
  const where = row.stage === "one_node" ? `one node of ${cells[0]}` : STAGE_WORDS[row.stage];
  tell(ctx, row, { type: "upgrade.stage", text: `stage ${where}`, data: { stage: row.stage, cells: cells.length } });
}

function complete(ctx: UpgradeContext, row: UpgradeRow): void {
  const views = row.cells.flatMap((cell) => ctx.draft.get("upgradeViews", cell) ?? []);
  const { upgraded, had, unable, away } = sumOf(views.map(({ counts }) => counts));
  const rest = [
    had > 0 ? `${had} had it` : "",
    unable > 0 ? `${unable} cannot be upgraded so` : "",
    away > 0 ? `${away} were away` : "",
  ].filter((text) => text !== "");
  const text = `completed: ${upgraded} upgraded${rest.length === 0 ? "" : `, ${rest.join(", ")}`}`;
  end(ctx, { ...row, state: { kind: "completed", atMs: ctx.nowMs }, handOver: row.next.length > 0 });
  tell(ctx, rowOf(ctx)!, { type: "upgrade.completed", text, data: { upgraded, had, unable, away } });
}

/** Who runs the new agent keeps it; nobody else is told of it. */
function stop(ctx: UpgradeContext, row: UpgradeRow, fault: UpgradeFault): void {
  end(ctx, { ...row, state: { kind: "failed", atMs: ctx.nowMs, fault } });
  const text = `stopped in stage ${STAGE_WORDS[row.stage]}: ${fault.name} ${fault.why}`;
  tell(ctx, rowOf(ctx)!, { type: "upgrade.failed", text, data: { ...fault, stage: row.stage } });
}

function end(ctx: UpgradeContext, row: UpgradeRow): void {
  for (const cell of row.cells) ctx.attempts.settle(`cell:${cell}`);
  ctx.draft.put("upgrade", "upgrade", { ...row, seq: row.seq + 1, unclosed: row.cells });
}
