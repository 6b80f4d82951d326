// How the slots of a rollout stand, as core/rollout looks at them.
import type { InstanceFailure } from "../../contracts/failures.ts";
import type { Seen } from "../rollout/seen.ts";
import type { SlotView } from "../rollout/slots.ts";
import type { RolloutRow, Target } from "../rollout/types.ts";
import type { AppContext } from "./context.ts";
import { jobViewOf } from "./jobs.ts";
import { blockersOf } from "./policy.ts";
import { isRoomComing, meantInSlots } from "./reconcile.ts";
import type { InstanceRow } from "./types.ts";

export function seenBy(ctx: AppContext, rollout: RolloutRow): Seen {
  const roomComing = isRoomComing(ctx);
  return {
    slots: slotViews(ctx, rollout.to, roomComing),
    beside: (rollout.toAside ?? []).flatMap(({ target }) => slotViews(ctx, target, roomComing)),
    job: jobViewOf(ctx, rollout, (row) => slotView(row, roomComing)),
  };
}

function slotViews(ctx: AppContext, to: Target, roomComing: boolean): SlotView[] {
  const waitsForOld = blockersOf(ctx, to).length > 0;
  return meantInSlots(ctx, to).map((row) => (row ? slotView(row, roomComing) : { kind: "missing", waitsForOld }));
}

const STOPPED: InstanceFailure = {
  code: "exited",
  message: "The node stopped it for good.",
  exitCode: null,
  signal: null,
  logTail: [],
};

function slotView(row: InstanceRow, roomComing: boolean): SlotView {
  const { phase, observed } = row;
  if (phase.kind === "placing") {
    return { kind: "placing", refusal: phase.refusal, refusedSinceMs: phase.refusedSinceMs, roomComing };
  }
  const placed = { instance: row.id, generation: row.generation, node: row.placement?.node ?? null };
  if (phase.kind !== "running" || !observed)
    return { kind: "starting", status: "placing", startedAtMs: null, ...placed };
  switch (observed.kind) {
    case "ready":
      return { kind: "ready", ...placed };
    case "failed":
      return { kind: "failed", failure: observed.failure, ...placed };
    case "stopped":
      return { kind: "failed", failure: row.failure ?? STOPPED, ...placed };
    case "backoff":
      return {
        kind: "crashing",
        crashes: row.crashes,
        everReady: row.readyAtMs !== null,
        failure: observed.failure,
        ...placed,
      };
    default: {
      const startedAtMs = row.readyAtMs === null ? row.startedAtMs : null;
      return { kind: "starting", status: observed.kind, startedAtMs, ...placed };
    }
  }
}
