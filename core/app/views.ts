// How an App shows itself: itself, its rollouts and its instances.
import type { App, Instance, Rollout } from "../../contracts/api.ts";
import { releasesOf } from "../../contracts/route.ts";
import type { RolloutFailure } from "../../contracts/failures.ts";
import type { InstanceRow } from "./types.ts";
import { waitingFor } from "../rollout/give-up.ts";
import { stagesOf, stageOf } from "../rollout/stages.ts";
import { isActive, planOf, type RolloutRow } from "../rollout/types.ts";
import { assertNever } from "../step.ts";
import { activeRollout, appOf, countersOf, type AppContext } from "./context.ts";
import { isReady } from "./instances.ts";
import { routeStateOf } from "./route.ts";

/** url: without a port, which only the Worker knows. */
export function appView(ctx: AppContext): App {
  const app = appOf(ctx);
  const rollout = activeRollout(ctx);
  const current = app.current ? ctx.draft.get("releases", app.current.release) : undefined;
  let readyInstances = 0;
  for (const row of ctx.draft.values("instances")) if (isReady(row) && !row.job) readyInstances += 1;
  const environment = ctx.draft.get("environments", "draft") ?? {};
  return {
    id: app.app,
    team: app.team,
    project: app.project,
    name: app.name,
    hostnames: [...app.hostnames],
    url: app.hostnames[0] ? `https://${app.hostnames[0]}` : "",
    replicas: (rollout?.to ?? app.current)?.replicas ?? app.replicas,
    regions: [...app.regions],
    status: statusOf(ctx, readyInstances),
    currentRelease: current?.release ?? null,
    rollout: app.rollout,
    readyInstances,
    envNames: Object.keys(environment).sort(),
    weights: weightsOf(ctx),
    maintenance: app.maintenance ?? false,
    warm: app.warm ? { version: app.warm.target.version, untilMs: app.warm.untilMs } : null,
    createdAtMs: app.createdAtMs,
  };
}

function statusOf(ctx: AppContext, readyInstances: number): App["status"] {
  const { phase, rollout, current } = appOf(ctx);
  if (phase !== "live") return "destroyed";
  if (rollout) return "deploying";
  if (!current) return countersOf(ctx).releaseVersion === 0 ? "never_deployed" : "down";
  if (current.replicas === 0) return "scaled_to_zero";
  if (readyInstances >= current.replicas) return "healthy";
  return readyInstances > 0 ? "degraded" : "down";
}

/** The newest first. */
function weightsOf(ctx: AppContext): App["weights"] {
  const weights = releasesOf(routeStateOf(ctx)).map(({ version, weight, endpoints }) => ({
    version,
    weight,
    ready: endpoints.length,
  }));
  return weights.sort((a, b) => b.version - a.version);
}

export function rolloutView(ctx: AppContext, row: RolloutRow): Rollout {
  const { phase } = row;
  const active = isActive(phase);
  const waits = active ? (phase.kind === "rolling" && !row.paused ? phase.waitingFor : waitingFor(row, null)) : null;
  return {
    id: row.id,
    app: appOf(ctx).app,
    reason: row.reason,
    strategy: planOf(row).strategy.kind,
    revision: row.revision ?? 0,
    phase: phase.kind,
    fromVersion: row.from?.version ?? null,
    toVersion: row.to.version,
    replicas: row.to.replicas,
    ready: phase.ready,
    verified: phase.kind === "completed" ? row.to.replicas : active ? (row.verified ?? []).length : 0,
    step: stepOf(row),
    paused: active ? (row.paused ?? null) : null,
    weights: active ? weightsOf(ctx).map(({ version, weight }) => ({ version, weight })) : [],
    analysis: row.verdict ?? row.lastVerdict ?? null,
    abortReason: phase.kind === "aborted" ? phase.reason : null,
    failure: phase.kind === "failed" ? withNodeName(ctx, phase.failure) : null,
    waitingFor: waits,
    startedAtMs: row.startedAtMs,
    deadlineAtMs: row.deadlineAtMs,
    endedAtMs: "endedAtMs" in phase ? phase.endedAtMs : null,
    startedBy: row.startedBy,
  };
}

/** Of a rollout with steps; after its end, the one it ended in. */
function stepOf(row: RolloutRow): Rollout["step"] {
  const { weight, on } = stageOf(row);
  const of = stagesOf(row).length;
  if (typeof weight !== "number" || (of === 1 && on === null)) return null;
  const held = row.phase.kind === "holding" ? row.phase : null;
  const index = Math.min(row.stage ?? 0, of - 1) + 1;
  return { index, of, weight, sinceMs: held?.sinceMs ?? null, untilMs: held?.untilMs ?? null };
}

function withNodeName(ctx: AppContext, failure: RolloutFailure): RolloutFailure {
  if (failure.kind !== "instance" && failure.kind !== "verification" && failure.kind !== "smoke") return failure;
  const nodeName = ctx.draft.get("instances", failure.instance)?.placement?.nodeName;
  return nodeName === undefined ? failure : { ...failure, nodeName };
}

export function instanceView(ctx: AppContext, row: InstanceRow): Instance {
  return {
    id: row.id,
    app: appOf(ctx).app,
    release: row.release,
    version: row.version,
    ordinal: row.ordinal,
    generation: row.generation,
    node: row.placement?.node ?? null,
    nodeName: row.placement?.nodeName ?? null,
    cell: row.cell,
    phase: phaseOf(row),
    observed: row.observed,
    failure: row.failure,
    restarts: row.restarts,
    createdAtMs: row.createdAtMs,
    readyAtMs: row.readyAtMs,
  };
}

function phaseOf({ phase, observed, nodeGone }: InstanceRow): Instance["phase"] {
  switch (phase.kind) {
    case "placing":
    case "committing":
      return "placing";
    case "running":
      if (nodeGone) return "lost";
      if (observed?.kind === "ready" || observed?.kind === "unready" || observed?.kind === "failed")
        return observed.kind;
      return "starting";
    case "draining":
      return "draining";
    case "stopping":
      return "stopping";
    case "ended":
      return phase.as;
    default:
      return assertNever(phase);
  }
}
