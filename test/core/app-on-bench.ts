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

/** Answers until nothing is asked any more. Returns what kinds of calls there were. */
export const settle = (app: BenchApp, refuse: Refusal | null = null): string[] => {
  const kinds: string[] = [];
  for (let calls = answerAll(app, refuse); calls.length > 0; calls = answerAll(app, refuse))
    kinds.push(...calls.map(({ kind }) => kind));
  return kinds;
};

/** An app that serves, and what its Cell may say of the node of its first instance. */
export const suspecting = (replicas = 2, more: Record<string, unknown> = {}) => {
  const { app, first, node, evacuate } = deployed(replicas, more);
  const say = (kind: "node_back" | "node_cleared" | "stay") => app.tell({ kind, node });
  const suspect = (instances: readonly InstanceId[] = [first]) => app.tell({ kind: "node_suspect", node, instances });
  const lose = (kept: readonly InstanceId[] = []) =>
    app.tell({ kind: "node_gone", node, instances: kept.length > 0 ? [] : [first], kept });
  /** The newest of the first slot, if it is not the first. */
  const standby = () => app.of(1).findLast((id) => id !== first && rowOf(app, id).ordinal === 0);
  return { app, first, node, evacuate, say, suspect, lose, standby };
};
