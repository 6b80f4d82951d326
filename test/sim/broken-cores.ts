// Cores with one fault each, made by hand around the real steps, so that every check of the simulator is seen to fail.
import type { InstanceId, RolloutId } from "../../contracts/ids.ts";
import type { Route } from "../../contracts/route.ts";
import type { AppEffect, AppEvent, AppTables, StepApp } from "../../core/app/types.ts";
import type { CellEvent, CellTables, StepCell } from "../../core/cell/types.ts";
import type { RowChange } from "../../core/step.ts";
import { REAL_CORE, type Core } from "./cluster.ts";

type AppStep = (...args: Parameters<StepApp>) => ReturnType<StepApp>;
type CellStep = (...args: Parameters<StepCell>) => ReturnType<StepCell>;

/** Another step before or after the real one; what it answers has the real one's shape. */
const withApp = (step: AppStep): Core => ({ ...REAL_CORE, stepApp: step as StepApp });
const withCell = (step: CellStep): Core => ({ ...REAL_CORE, stepCell: step as StepCell });

function changingRoutes(change: (route: Route, durable: Parameters<StepApp>[0], event: AppEvent) => Route): Core {
  return withApp((durable, volatile, event, at, limits) => {
    const decision = REAL_CORE.stepApp(durable, volatile, event, at, limits);
    const rowChanges = decision.rowChanges.map((row): RowChange<AppTables> => {
      if (row.table !== "route" || row.kind !== "put") return row;
      return { ...row, value: { ...row.value, route: change(row.value.route, durable, event) } };
    });
    return { ...decision, rowChanges };
  });
}

function droppingAppRows(isDropped: (row: RowChange<AppTables>) => boolean): Core {
  return withApp((durable, volatile, event, at, limits) => {
    const decision = REAL_CORE.stepApp(durable, volatile, event, at, limits);
    return { ...decision, rowChanges: decision.rowChanges.filter((row) => !isDropped(row)) };
  });
}

const unbalanced = changingRoutes((route) => {
  if (route.state.kind !== "serving") return route;
  const [first, ...rest] = route.state.releases;
  return { ...route, state: { ...route.state, releases: [{ ...first!, weight: first!.weight - 1 }, ...rest] } };
});

const tooEager = changingRoutes((route, durable) => {
  if (route.state.kind !== "serving") return route;
  const releases = route.state.releases.map((release) => {
    const unready = [...durable.instances.values()].filter(
      (row) => row.release === release.release && row.placement && row.observed?.kind === "starting",
    );
    const extra = unready.map(({ id, generation, placement }) => ({
      instance: id,
      generation,
      node: placement!.node,
      gatewayUrl: placement!.gatewayUrl,
    }));
    return { ...release, endpoints: [...release.endpoints, ...extra] };
  });
  return { ...route, state: { ...route.state, releases } };
});

/** A new release takes what serves out of the route before it has anything to serve itself. */
const stopFirst = withApp((durable, volatile, event, at, limits) => {
  const decision = REAL_CORE.stepApp(durable, volatile, event, at, limits);
  const row = durable.route.get("route");
  if (event.kind !== "acceptRelease" || row?.route.state.kind !== "serving") return decision;
  const releases = row.route.state.releases.slice(0, 1).map((release) => ({
    ...release,
    weight: 100,
    endpoints: release.endpoints.slice(0, 1),
  }));
  const route: Route = { ...row.route, version: row.route.version + 1, state: { kind: "serving", releases } };
  const change: RowChange<AppTables> = { kind: "put", table: "route", key: "route", value: { ...row, route } };
  return { ...decision, rowChanges: [...decision.rowChanges.filter(({ table }) => table !== "route"), change] };
});

/** Says `verified` itself instead of asking through the edge. */
function believing(): Core {
  const asked = new Map<RolloutId, readonly InstanceId[]>();
  return withApp((durable, volatile, event, at, limits) => {
    const rollout = durable.app.get("app")?.rollout;
    const instances = rollout ? asked.get(rollout) : undefined;
    const results = instances?.map((instance) => {
      const generation = durable.instances.get(instance)?.generation ?? 0;
      return { instance, generation, ok: true, message: "" };
    });
    const taken: AppEvent =
      event.kind === "tick" && rollout && results ? { kind: "verified", input: { rollout, results } } : event;
    const decision = REAL_CORE.stepApp(durable, volatile, taken, at, limits);
    const isVerify = (effect: AppEffect) => effect.kind === "verify";
    for (const effect of decision.effects) if (effect.kind === "verify") asked.set(effect.rollout, effect.instances);
    return { ...decision, effects: decision.effects.filter((effect) => !isVerify(effect)), wakeAtMs: at.nowMs + 100 };
  });
}

const doubling = withApp((durable, volatile, event, at, limits) => {
  const decision = REAL_CORE.stepApp(durable, volatile, event, at, limits);
  const doubles = decision.rowChanges.flatMap((row): RowChange<AppTables>[] => {
    if (row.table !== "instances" || row.kind !== "put" || row.value.phase.kind !== "placing") return [];
    const id = `${row.key.slice(0, -1)}z` as InstanceId;
    return [{ ...row, key: id, value: { ...row.value, id } }];
  });
  return { ...decision, rowChanges: [...decision.rowChanges, ...doubles] };
});

const forgetful = withApp((durable, volatile, event, at, limits) => {
  const keyless = "input" in event && "idempotencyKey" in event.input ? { ...event.input, idempotencyKey: null } : null;
  const taken = keyless ? ({ ...event, input: keyless } as AppEvent) : event;
  return REAL_CORE.stepApp(durable, volatile, taken, at, limits);
});

const skipping = withApp((durable, volatile, event, at, limits) => {
  const taken = event.kind === "outbox_acked" ? { ...event, lastSeq: event.lastSeq + 1 } : event;
  return REAL_CORE.stepApp(durable, volatile, taken, at, limits);
});

const deafToUpdates = withApp((durable, volatile, event, at, limits) => {
  const taken = event.kind === "updated" ? { kind: "call_failed" as const, call: event.call, message: "lost" } : event;
  return REAL_CORE.stepApp(durable, volatile, taken, at, limits);
});

const generous = withCell((durable, volatile, event: CellEvent, at, limits) => {
  if (event.kind !== "reserve") return REAL_CORE.stepCell(durable, volatile, event, at, limits);
  const nothing = { ...durable, instances: new Map(), reservations: new Map() };
  return REAL_CORE.stepCell(nothing, volatile, event, at, limits);
});

/** Frees the room of what is removed before the node has said that it stopped. */
const hasty = withCell((durable, volatile, event, at, limits) => {
  const decision = REAL_CORE.stepCell(durable, volatile, event, at, limits);
  const rowChanges = decision.rowChanges.map((row): RowChange<CellTables> => {
    const isGone = row.table === "instances" && row.kind === "put" && row.value.state.kind === "gone";
    return isGone ? { kind: "delete", table: "instances", key: row.key } : row;
  });
  return { ...decision, rowChanges };
});

const silentlyChanging = withCell((durable, volatile, event, at, limits) => {
  const decision = REAL_CORE.stepCell(durable, volatile, event, at, limits);
  if (event.kind !== "update") return decision;
  return { ...decision, rowChanges: decision.rowChanges.filter((row) => row.table !== "nodes") };
});

/** invariant: the number the checks must name. */
export const BROKEN_CORES: readonly { name: string; invariant: number; core: () => Core; nodes?: number }[] = [
  { name: "makes two instances for one slot", invariant: 1, core: () => doubling },
  { name: "changes a document without a new revision", invariant: 2, core: () => silentlyChanging },
  { name: "gives weights that sum to 99", invariant: 6, core: () => unbalanced },
  { name: "routes to an instance that is not ready", invariant: 7, core: () => tooEager },
  { name: "reserves more than a node has", invariant: 10, core: () => generous, nodes: 2 },
  { name: "frees room before the node has stopped", invariant: 10, core: () => hasty, nodes: 2 },
  { name: "takes the old out before the new is ready", invariant: 11, core: () => stopFirst },
  { name: "forgets idempotency keys", invariant: 13, core: () => forgetful },
  { name: "skips an event of the outbox", invariant: 14, core: () => skipping },
  { name: "never hears that an update was applied", invariant: 20, core: () => deafToUpdates },
  { name: "believes its instances without asking", invariant: 21, core: believing },
  {
    name: "loses the end of a rollout",
    invariant: 22,
    core: () =>
      droppingAppRows((row) => row.table === "rollouts" && row.kind === "put" && row.value.phase.kind === "failed"),
  },
];
