// How an App shows itself: itself, its rollouts and its instances.
import type { App, Instance, Rollout } from "../../contracts/api.ts";
import type { RolloutFailure } from "../../contracts/failures.ts";
import type { InstanceRow } from "./types.ts";
import type { RolloutRow } from "../rollout/types.ts";
import { assertNever } from "../step.ts";
import { activeRollout, appOf, countersOf, type AppContext } from "./context.ts";
import { isReady } from "./instances.ts";

/** url: without a port, which only the Worker knows. */
export function appView(ctx: AppContext): App {
  const app = appOf(ctx);
  const rollout = activeRollout(ctx);
  const current = app.current ? ctx.draft.get("releases", app.current.release) : undefined;
  let readyInstances = 0;
  for (const row of ctx.draft.values("instances")) if (isReady(row)) readyInstances += 1;
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

export function rolloutView(ctx: AppContext, row: RolloutRow): Rollout {
  const { phase } = row;
  const completed = phase.kind === "completed";
  return {
    id: row.id,
    app: appOf(ctx).app,
    reason: row.reason,
    phase: phase.kind,
    fromVersion: row.from?.version ?? null,
    toVersion: row.to.version,
    replicas: row.to.replicas,
    ready: phase.ready,
    verified: completed ? row.to.replicas : phase.kind === "verifying" ? phase.verified.length : 0,
    failure: phase.kind === "failed" ? withNodeName(ctx, phase.failure) : null,
    waitingFor:
      phase.kind === "rolling"
        ? phase.waitingFor
        : phase.kind === "verifying"
          ? (phase.lastMiss?.message ?? "an answer through the edge from every replica")
          : null,
    startedAtMs: row.startedAtMs,
    deadlineAtMs: row.deadlineAtMs,
    endedAtMs: phase.kind === "rolling" || phase.kind === "verifying" ? null : phase.endedAtMs,
    startedBy: row.startedBy,
  };
}

function withNodeName(ctx: AppContext, failure: RolloutFailure): RolloutFailure {
  if (failure.kind !== "instance" && failure.kind !== "verification") return failure;
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
