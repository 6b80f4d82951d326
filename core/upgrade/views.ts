// A region's upgrade as people see it.
import type { AgentUpgrade, UpgradeCounts } from "../../contracts/agent-release.ts";
import { isOpen, type UpgradeContext } from "./context.ts";
import { cellsIn, isDone } from "./stages.ts";
import type { UpgradeRow } from "./types.ts";

export function upgradeView(ctx: UpgradeContext, row: UpgradeRow): AgentUpgrade {
  const views = row.cells.flatMap((cell) => ctx.draft.get("upgradeViews", cell) ?? []);
  const waitsFor = cellsIn(row, ctx.limits).filter((cell) => {
    const view = ctx.draft.get("upgradeViews", cell);
    return view?.seq !== row.seq || !isDone(row.stage, view);
  });
  const { state } = row;
  return {
    region: row.region,
    attempt: row.attempt,
    version: row.version,
    state: state.kind,
    stage: row.stage,
    startedAtMs: row.startedAtMs,
    startedBy: row.startedBy,
    endedAtMs: "atMs" in state ? state.atMs : null,
    counts: sumOf(views.map(({ counts }) => counts)),
    cells: isOpen(row) ? waitsFor : [],
    fault: state.kind === "failed" ? state.fault : null,
    unable: views.flatMap(({ unable }) => unable).slice(0, ctx.limits.upgradeNamedMax),
    story: [...row.story],
    next: [...row.next],
  };
}

export function sumOf(all: readonly UpgradeCounts[]): UpgradeCounts {
  const sum = { nodes: 0, had: 0, upgraded: 0, underWay: 0, waiting: 0, unable: 0, away: 0 };
  for (const counts of all) for (const name of Object.keys(sum) as (keyof UpgradeCounts)[]) sum[name] += counts[name];
  return sum;
}
