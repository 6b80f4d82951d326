// An App on the bench, as tests of moves look at it and answer it.
import type { Refusal } from "../../contracts/failures.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import type { CellCall } from "../../core/app/types.ts";
import { BenchApp, placementOf, value } from "./bench-object.ts";

export const rowOf = (app: BenchApp, id: InstanceId) => app.tables.instances.get(id)!;
export const phaseOf = (app: BenchApp, id: InstanceId) => rowOf(app, id).phase.kind;
export const nodeOf = (app: BenchApp, id: InstanceId) => rowOf(app, id).placement!.node;
export const readyOf = (app: BenchApp) => value(app.take({ kind: "read", input: {} })).readyInstances;
export const routed = (app: BenchApp): string[] => {
  const { state } = app.tables.route.get("route")!.route;
  return state.kind === "serving" ? state.releases.flatMap((r) => r.endpoints.map((e) => e.instance)) : [];
};
export const eventsOf = (app: BenchApp, type: string) =>
  [...app.tables.events.values()].filter((event) => event.type === type);

/** Answers every call that is out, once round; a reserve with a refusal if one is given. Returns the calls. */
export function answerAll(app: BenchApp, refuse: Refusal | null = null): CellCall[] {
  const seen: CellCall[] = [];
  for (const { call, request } of app.drain("call_cell")) {
    seen.push(request);
    if (request.kind !== "reserve") {
      app.take({ kind: request.kind === "commit" ? "committed" : "updated", call, answer: { ok: true, value: null } });
      continue;
    }
    const { slots } = request.request;
    const placements = refuse ? [] : slots.map((slot) => placementOf(slot));
    const refused = refuse ? slots.map(({ instance }) => ({ instance, refusal: refuse })) : [];
    app.take({ kind: "reserved", call, answer: { ok: true, value: { placements, refused } } });
  }
  return seen;
}

/** An app that serves, whose first instance is to leave its node. */
export const deployed = (replicas = 2, more: Record<string, unknown> = {}) => {
  const app = new BenchApp();
  app.deploy(more, replicas);
  const [first] = app.of(1) as [InstanceId];
  const node = nodeOf(app, first);
  const evacuate = (instances = [first]) => app.tell({ kind: "evacuate", node, instances, reason: "drain" });
  const heir = () => app.of(1).find((id) => rowOf(app, id).ordinal === 0 && rowOf(app, id).generation === 2)!;
  return { app, first, node, evacuate, heir };
};
