// One-off instances: the commands before and after a release. One for each, never routed, never repaired; its end is the rollout's to judge.
import type { InstanceId, RegionName } from "../../contracts/ids.ts";
import type { JobView } from "../rollout/seen.ts";
import type { SlotView } from "../rollout/slots.ts";
import { planOf, type RolloutRow } from "../rollout/types.ts";
import { activeRollout, appOf, type AppContext } from "./context.ts";
import { stop } from "./instances.ts";
import type { InstanceRow } from "./types.ts";

type Which = "before" | "after";

/** Which command the rollout waits for, or null. */
export function commandOf(row: RolloutRow | null): Which | null {
  if (!row) return null;
  const which = row.phase.kind === "preparing" ? "before" : row.phase.kind === "finishing" ? "after" : null;
  return which && planOf(row)[which] ? which : null;
}

/** What its node is to run instead of the release's own command, and for how long at most. */
export function jobCommandOf(ctx: AppContext, { job }: InstanceRow): { command: string[]; timeoutMs: number } | null {
  const rollout = job ? ctx.draft.get("rollouts", job.rollout) : undefined;
  const asked = rollout && job ? planOf(rollout)[job.which] : undefined;
  return asked ? { command: [...asked.command], timeoutMs: asked.timeoutMs } : null;
}

/** It goes when nobody waits for it any more. Answers null: it has no slot. */
export function keepJob(ctx: AppContext, row: InstanceRow): null {
  const rollout = activeRollout(ctx);
  const isWanted = rollout?.id === row.job?.rollout && commandOf(rollout) === row.job?.which;
  if (!isWanted) stop(ctx, row, row.nodeGone ? "lost" : "stopped");
  return null;
}

/** Above every slot: so many replicas no app may have. */
const slotOfJobs = (ctx: AppContext): number => ctx.limits.replicasMax;

export function startJob(ctx: AppContext): void {
  const rollout = activeRollout(ctx);
  const which = commandOf(rollout);
  if (!rollout || !which || jobOf(ctx, rollout, which)) return;
  const { to } = rollout;
  const ordinal = slotOfJobs(ctx);
  const key = `${to.release}/${ordinal}`;
  const slot = ctx.draft.get("slots", key) ?? { generation: 0, failures: 0, notBeforeMs: 0 };
  const generation = slot.generation + 1;
  ctx.draft.put("slots", key, { ...slot, generation });
  const id = ctx.mint<InstanceId>("ins");
  ctx.draft.put("instances", id, {
    id,
    release: to.release,
    version: to.version,
    ordinal,
    generation,
    cohort: `${rollout.id}/${which}`,
    region: appOf(ctx).regions[0] as RegionName,
    cell: null,
    placement: null,
    phase: { kind: "placing", refused: [], refusal: null, refusedSinceMs: null, retryAtMs: ctx.nowMs, tries: 0 },
    job: { rollout: rollout.id, which },
    observed: null,
    nodeGone: false,
    avoid: [],
    avoidAtFirst: [],
    restarts: 0,
    crashes: 0,
    failure: null,
    routed: false,
    createdAtMs: ctx.nowMs,
    startedAtMs: null,
    readyAtMs: null,
  });
}

/** Run once: one that was taken away by others, or was lost, is not made anew. */
function jobOf(ctx: AppContext, { id }: RolloutRow, which: Which): InstanceRow | null {
  let found: InstanceRow | null = null;
  for (const row of ctx.draft.values("instances")) {
    if (row.job?.rollout !== id || row.job.which !== which) continue;
    // A refused commit ran nothing: whoever comes after it is the first to run.
    const ranNothing =
      row.phase.kind === "stopping" || row.phase.kind === "ended" ? row.startedAtMs === null && !row.observed : false;
    if (!ranNothing && (!found || row.generation > found.generation)) found = row;
  }
  return found;
}

/** How the command stands that the rollout waits for; view: of an instance as of any slot's. */
export function jobViewOf(ctx: AppContext, rollout: RolloutRow, view: (row: InstanceRow) => SlotView): JobView | null {
  const which = commandOf(rollout);
  const row = which && jobOf(ctx, rollout, which);
  if (!row) return null;
  const { observed, failure } = row;
  const tail = failure?.logTail ?? [];
  if (observed?.kind === "stopped") {
    const { exitCode } = observed;
    const message = exitCode === null ? (failure?.message ?? "It was ended.") : `It ended with exit code ${exitCode}.`;
    return { kind: "ended", exitCode, message, logTail: tail };
  }
  if (observed?.kind === "failed") {
    const { exitCode, message, logTail } = observed.failure;
    return { kind: "ended", exitCode: exitCode === 0 ? null : exitCode, message, logTail };
  }
  const isAway = row.nodeGone || row.phase.kind === "stopping" || row.phase.kind === "ended";
  if (isAway) {
    const where = row.placement?.nodeName ?? "its node";
    return { kind: "ended", exitCode: null, message: `Nobody knows how it ended: ${where} was lost.`, logTail: [] };
  }
  return { kind: "under_way", slot: view(row), startedAtMs: row.startedAtMs };
}
