// Questions that change nothing.
import type { InstanceRow, AppInputs, AppReplies } from "./types.ts";
import { seqKey } from "../keys.ts";
import { ok, refuse } from "../results.ts";
import { appOf, countersOf, type AppContext } from "./context.ts";
import { instanceView, rolloutView } from "./views.ts";

export function listReleases(ctx: AppContext, input: AppInputs["listReleases"]): AppReplies["listReleases"] {
  const releases = [...ctx.draft.values("releases")]
    .map((row) => row.release)
    .filter((release) => input.beforeVersion === undefined || release.version < input.beforeVersion)
    .sort((a, b) => b.version - a.version);
  return ok({ items: releases.slice(0, input.limit), more: releases.length > input.limit });
}

export function readRollout(ctx: AppContext, input: AppInputs["readRollout"]): AppReplies["readRollout"] {
  const row = ctx.draft.get("rollouts", input.rollout);
  return row ? ok(rolloutView(ctx, row)) : refuse("not_found", "The app has no such rollout.");
}

export function listRollouts(ctx: AppContext, input: AppInputs["listRollouts"]): AppReplies["listRollouts"] {
  const rows = [...ctx.draft.values("rollouts")].sort(
    (a, b) => b.startedAtMs - a.startedAtMs || (a.id < b.id ? 1 : -1),
  );
  return ok({ items: rows.slice(0, input.limit).map((row) => rolloutView(ctx, row)) });
}

export function listInstances(ctx: AppContext, input: AppInputs["listInstances"]): AppReplies["listInstances"] {
  const rows = [...ctx.draft.values("instances")].filter((row) => input.all || row.phase.kind !== "ended");
  rows.sort((a, b) => b.version - a.version || a.ordinal - b.ordinal || b.generation - a.generation);
  return ok({ items: rows.map((row) => instanceView(ctx, row)) });
}

export function listEvents(ctx: AppContext, input: AppInputs["listEvents"]): AppReplies["listEvents"] {
  const { eventSeq, prunedSeq } = countersOf(ctx);
  const from = Math.max(input.afterSeq, prunedSeq) + 1;
  const items = [];
  for (let seq = from; seq <= eventSeq && items.length < input.limit; seq += 1) {
    const event = ctx.draft.get("events", seqKey(seq));
    if (event) items.push(event);
  }
  return ok({ items, lastSeq: eventSeq });
}

/** Only for an instance that belongs on the node that asks, in that generation, and has not ended. */
export function environment(ctx: AppContext, input: AppInputs["environment"]): AppReplies["environment"] {
  const row = ctx.draft.get("instances", input.instance);
  const kept = row && ctx.draft.get("releases", row.release);
  if (!row || !kept || !belongs(row, input)) {
    return refuse("not_found", "No such instance belongs on this node in this generation.");
  }
  const { team, app } = appOf(ctx);
  const sealed = { ...(ctx.draft.get("environments", row.release) ?? {}) };
  return ok({ team, app, sealed, privateImage: kept.privateImage, spec: kept.release.spec });
}

function belongs(row: InstanceRow, { node, generation }: AppInputs["environment"]): boolean {
  const here = row.placement?.node === node && row.generation === generation;
  return here && row.phase.kind !== "placing" && row.phase.kind !== "stopping" && row.phase.kind !== "ended";
}
