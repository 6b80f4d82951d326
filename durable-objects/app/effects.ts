// How the App's effects are carried out: calls to Cells, Region, Hosts and entrypoints, the KV route, the event sockets.
import type { Result } from "../../contracts/failures.ts";
import { routeKey } from "../../contracts/route.ts";
import type { AppEffect, AppOutcome } from "../../core/app/types.ts";
import type { CellSummary } from "../../core/messages.ts";
import { assertNever } from "../../core/step.ts";
import type { ObjectEnv } from "../env.ts";
import type { CellRpc } from "../rpc.ts";
import { callObject, messageOf } from "../shared/call.ts";
import { controlExports } from "../shared/control-exports.ts";
import { drainOutbox } from "../shared/outbox.ts";

export interface AppEffectTools {
  readonly state: DurableObjectState;
  readonly env: ObjectEnv;
  readonly notify: (lastSeq: number) => void;
}

type Effect<Kind extends AppEffect["kind"]> = Extract<AppEffect, { kind: Kind }>;

/** Everything up to the first await happens in the turn of the commit; the outcome is stepped as an event of its own. */
export async function runAppEffect(effect: AppEffect, tools: AppEffectTools): Promise<AppOutcome | null> {
  switch (effect.kind) {
    case "call_cell":
      return callCell(effect, tools);
    case "ask_region":
      return askRegion(effect, tools);
    case "publish_route":
      return publishRoute(effect, tools);
    case "verify":
      return verify(effect, tools);
    case "probe_instances":
      return probeInstances(effect, tools);
    case "notify_events":
      tools.notify(effect.lastSeq);
      return null;
    case "drain_outbox":
      return drainOutbox(tools.state, effect);
    case "claim_host":
      return claimHost(effect, tools);
    case "release_host":
      return releaseHost(effect, tools);
    default:
      return assertNever(effect);
  }
}

async function callCell({ call, cell, request }: Effect<"call_cell">, { env }: AppEffectTools): Promise<AppOutcome> {
  const stub = (): CellRpc => env.CELL.getByName(cell);
  switch (request.kind) {
    case "reserve": {
      const outcome = await callObject(() => stub().reserve(request.request));
      if (outcome.kind === "answered") return { kind: "reserved", call, answer: outcome.value };
      return { kind: "call_failed", call, message: outcome.message };
    }
    case "commit":
    case "update": {
      const outcome = await callObject<Result<null>>(() =>
        request.kind === "commit" ? stub().commit(request.request) : stub().update(request.request),
      );
      if (outcome.kind === "unanswered") return { kind: "call_failed", call, message: outcome.message };
      return { kind: request.kind === "commit" ? "committed" : "updated", call, answer: outcome.value };
    }
    default:
      return assertNever(request);
  }
}

async function askRegion({ region }: Effect<"ask_region">, { env }: AppEffectTools): Promise<AppOutcome> {
  const outcome = await callObject(() => env.REGION.getByName(region).cells());
  if (outcome.kind === "unanswered") return { kind: "region_failed", region, message: outcome.message };
  if (!outcome.value.ok) return { kind: "region_failed", region, message: outcome.value.failure.message };
  const items = JSON.parse(outcome.value.value.itemsJson) as CellSummary[];
  return { kind: "cells_known", region, items };
}

/** The object itself is the truth; KV is the copy that the edge reads first. */
async function publishRoute({ route }: Effect<"publish_route">, { env }: AppEffectTools): Promise<AppOutcome> {
  try {
    await env.ROUTES.put(routeKey(route.app), JSON.stringify(route));
    return { kind: "route_written", version: route.version };
  } catch (error) {
    return { kind: "route_failed", version: route.version, message: messageOf(error) };
  }
}

/** No time limit of ours: the verifier asks every replica, reports by itself, and the step has a deadline for it. */
async function verify(effect: Effect<"verify">, { state }: AppEffectTools): Promise<AppOutcome | null> {
  const { kind: _, route, ...asked } = effect;
  try {
    await controlExports(state).Verifier.verify({ app: route.app, route, ...asked });
    return null;
  } catch (error) {
    return { kind: "verify_failed", rollout: effect.rollout, message: messageOf(error) };
  }
}

/** No outcome where it could not be carried out: the row that asked for it has it repeated. */
async function probeInstances(
  effect: Effect<"probe_instances">,
  { state }: AppEffectTools,
): Promise<AppOutcome | null> {
  const { app, team, name, targets } = effect;
  const outcome = await callObject(() => controlExports(state).InstanceProbe.probe({ app, team, name, targets }));
  return outcome.kind === "answered" ? { kind: "instances_probed", results: outcome.value.results } : null;
}

async function claimHost({ record }: Effect<"claim_host">, { env }: AppEffectTools): Promise<AppOutcome> {
  const { hostname } = record;
  const outcome = await callObject(() => env.HOST.getByName(hostname).claim(record));
  if (outcome.kind === "unanswered") return { kind: "host_failed", hostname, message: outcome.message };
  // Only an owner's word refuses a hostname; any other failure is worth another try.
  if (!outcome.value.ok && outcome.value.failure.code !== "name_taken") {
    return { kind: "host_failed", hostname, message: outcome.value.failure.message };
  }
  return { kind: "host_claimed", hostname, ok: outcome.value.ok };
}

async function releaseHost({ hostname, app }: Effect<"release_host">, { env }: AppEffectTools): Promise<AppOutcome> {
  const outcome = await callObject(() => env.HOST.getByName(hostname).release({ hostname, app }));
  if (outcome.kind === "unanswered") return { kind: "host_failed", hostname, message: outcome.message };
  if (!outcome.value.ok) return { kind: "host_failed", hostname, message: outcome.value.failure.message };
  return { kind: "host_released", hostname };
}
