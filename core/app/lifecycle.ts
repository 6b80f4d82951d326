// An app's beginning and end: created once, hostnames claimed and given back, destroyed when nothing of it is left.
import type { App } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import { ok, refuse } from "../results.ts";
import { appOf, changeApp, emit, type AppContext } from "./context.ts";
import { stop } from "./instances.ts";
import { cancelActive } from "./rollouts.ts";
import type { AppInputs } from "./types.ts";
import { appView } from "./views.ts";

export function create(ctx: AppContext, input: AppInputs["create"]): Result<App> {
  const known = ctx.draft.get("app", "app");
  if (known) return known.phase === "live" ? ok(appView(ctx)) : refuse("gone", "The app was destroyed.");
  const { app, team, project, name, hostnames, regions, replicas } = input;
  if (regions.length === 0) return refuse("invalid_request", "An app needs at least one region.");
  ctx.draft.put("app", "app", {
    app,
    team,
    project,
    name,
    hostnames,
    regions,
    createdAtMs: ctx.nowMs,
    phase: "live",
    replicas,
    current: null,
    rollout: null,
  });
  for (const hostname of hostnames) ctx.draft.put("hosts", hostname, { state: "claiming" });
  emit(ctx, { type: "app.created", subject: app, data: { app: appView(ctx) } });
  return ok(appView(ctx));
}

/** Visitors are told so; what runs goes on running, and rollouts go on. */
export function setMaintenance(ctx: AppContext, { on }: AppInputs["setMaintenance"]): Result<App> {
  const { app, maintenance = false } = appOf(ctx);
  if (maintenance !== on) {
    changeApp(ctx, { maintenance: on });
    emit(ctx, { type: "app.maintenance", subject: app, data: { on } });
  }
  return ok(appView(ctx));
}

/** No drain: whoever destroys an app wants it to stop. The rest is carried on by `finishDestroying`. */
export function destroy(ctx: AppContext): Result<App> {
  if (appOf(ctx).phase !== "live") return ok(appView(ctx));
  cancelActive(ctx);
  changeApp(ctx, { phase: "destroying", current: null, aside: [], warm: null });
  for (const row of [...ctx.draft.values("instances")]) stop(ctx, row, "stopped");
  for (const [hostname] of [...ctx.draft.entries("hosts")]) ctx.draft.put("hosts", hostname, { state: "releasing" });
  emit(ctx, { type: "app.destroyed", subject: appOf(ctx).app });
  return ok(appView(ctx));
}

export function finishDestroying(ctx: AppContext): void {
  if (appOf(ctx).phase !== "destroying") return;
  for (const { phase } of ctx.draft.values("instances")) if (phase.kind !== "ended") return;
  for (const { state } of ctx.draft.values("hosts")) if (state === "releasing") return;
  changeApp(ctx, { phase: "destroyed" });
}

export function hostAnswered(ctx: AppContext, hostname: string, state: "claimed" | "refused" | "released"): void {
  const row = ctx.draft.get("hosts", hostname);
  ctx.attempts.settle(`host:${hostname}`);
  if (!row) return;
  if (state === "released") {
    if (row.state === "releasing") ctx.draft.drop("hosts", hostname);
  } else if (row.state === "claiming") ctx.draft.put("hosts", hostname, { state });
}
