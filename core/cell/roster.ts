// What a Cell adds to its region's snapshot: who its nodes are, whose instances they serve, and which of their ports are whose.
import type { AppId } from "../../contracts/ids.ts";
import type { CellRoster } from "../messages.ts";
import type { CellContext } from "./context.ts";

/** Without removed nodes: nobody is to believe them any more. routeVersion: the newest that this Cell was told of. */
export function rosterOf(ctx: CellContext): CellRoster {
  const nodes: CellRoster["nodes"][number][] = [];
  for (const { id, phase, signKey, gatewayUrl } of ctx.draft.values("nodes"))
    if (phase !== "removed") nodes.push({ node: id, signKey, gatewayUrl });
  const apps = new Map<AppId, number>();
  const ports: CellRoster["ports"][number][] = [];
  for (const { desired, node, state } of ctx.draft.values("instances")) {
    if (state.kind !== "desired" || desired.job) continue;
    const { app, team, instance, generation, intent } = desired;
    apps.set(app, ctx.draft.get("apps", app)?.routeVersion ?? 0);
    if (intent !== "run" || ctx.draft.get("observed", instance)?.status.kind !== "ready") continue;
    for (const port of desired.hostPorts ?? []) ports.push({ port, app, team, instance, generation, node });
  }
  return { nodes, apps: [...apps].map(([app, routeVersion]) => ({ app, routeVersion })), ports };
}
