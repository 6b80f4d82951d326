// What operators may say to a rollout under way: pause, resume, promote, abort, cancel.
import type { Rollout } from "../../contracts/api.ts";
import type { EventType } from "../../contracts/events.ts";
import type { Result } from "../../contracts/failures.ts";
import type { RolloutCommand } from "../../contracts/rollout-plan.ts";
import { ok, refuse } from "../results.ts";
import { commandRollout } from "../rollout/commands.ts";
import { isActive } from "../rollout/types.ts";
import { appOf, type AppContext } from "./context.ts";
import { lookAtRollout, take } from "./rollouts.ts";
import type { AppInputs } from "./types.ts";
import { rolloutView } from "./views.ts";

const ENDS: Partial<Record<RolloutCommand, string>> = { abort: "aborted", cancel: "cancelled" };
const TOLD: Partial<Record<RolloutCommand, EventType>> = {
  pause: "rollout.paused",
  resume: "rollout.resumed",
  promote: "rollout.promoted",
};

export function controlRollout(ctx: AppContext, input: AppInputs["controlRollout"]): Result<Rollout> {
  const { command, full = false, ifRevision, reason = null, actor } = input;
  if (full && command !== "promote") return refuse("invalid_request", `Only promote can be full, ${command} cannot.`);
  const row = ctx.draft.get("rollouts", input.rollout);
  if (!row) return refuse("not_found", "The app has no such rollout.");
  const { kind } = row.phase;
  if (!isActive(row.phase) || appOf(ctx).rollout !== row.id) {
    // Said twice: the first time took.
    if (ENDS[command] === kind) return ok(rolloutView(ctx, row));
    return refuse("rollout_not_active", `The rollout is ${kind}: there is nothing left to ${command}.`);
  }
  const { revision = 0 } = row;
  if (ifRevision !== undefined && ifRevision !== revision) {
    const message = `The rollout is at revision ${revision} (${kind}), not ${ifRevision}: look at it again before you ${command} it.`;
    return refuse("precondition_failed", message);
  }
  const outcome = commandRollout(row, { command, full, by: actor, reason }, ctx.nowMs);
  if (outcome.kind === "refused") return refuse("conflict", outcome.message);
  take(ctx, row, outcome.row, TOLD[command] ?? null);
  lookAtRollout(ctx, null);
  return ok(rolloutView(ctx, ctx.draft.get("rollouts", row.id) ?? row));
}
