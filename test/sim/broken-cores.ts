// Cores with one fault each, made by hand around the real steps, so that every check of the simulator is seen to fail.
import type { InstanceId, RolloutId } from "../../contracts/ids.ts";
import type { Route } from "../../contracts/route.ts";
import type { AppEffect, AppEvent, AppTables, StepApp } from "../../core/app/types.ts";
import type { CellEffect, CellEvent, CellTables } from "../../core/cell/types.ts";
import type { CellToApp } from "../../core/messages.ts";
import type { RowChange } from "../../core/step.ts";
import type { FaultClass } from "./faults.ts";
import { REAL_CORE, type Core } from "./cluster.ts";
import { crowding, nameless, unheeding } from "./broken-placing.ts";
import { withApp, withCell, type Broken } from "./broken.ts";

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

/** Gives up what its customer marked as a singleton along with the rest of a silent node. */
const rash = withCell((durable, volatile, event, at, limits) => {
  const decision = REAL_CORE.stepCell(durable, volatile, event, at, limits);
  const givingUp = (message: CellToApp): CellToApp => {
    if (message.kind !== "node_gone") return message;
    const { kept = [], ...rest } = message;
    return { ...rest, instances: [...message.instances, ...kept] };
  };
  const rowChanges = decision.rowChanges.map((row): RowChange<CellTables> => {
    return row.table === "messages" && row.kind === "put" ? { ...row, value: givingUp(row.value) } : row;
  });
  const effects = decision.effects.map((effect): CellEffect => {
    return effect.kind === "deliver_messages" ? { ...effect, messages: effect.messages.map(givingUp) } : effect;
  });
  return { ...decision, rowChanges, effects };
});

/** Believes strict singletons stopped before their agents have to stop them. */
const impatient = withCell((durable, volatile, event, at, limits) =>
  REAL_CORE.stepCell(durable, volatile, event, at, { ...limits, strictReplaceMs: 9_000 }),
);

/** Says that a lease was committed without writing it down. */
const careless = withCell((durable, volatile, event, at, limits) => {
  const decision = REAL_CORE.stepCell(durable, volatile, event, at, limits);
  if (event.kind !== "heartbeat") return decision;
  const rowChanges = decision.rowChanges.filter((row) => row.table !== "leases" || row.kind !== "put");
  return { ...decision, rowChanges };
});

/** Takes what a lost node runs out of its document. */
const ruthless = withCell((durable, volatile, event, at, limits) => {
  const decision = REAL_CORE.stepCell(durable, volatile, event, at, limits);
  const lost = decision.rowChanges.flatMap((row) =>
    row.table === "nodes" && row.kind === "put" && row.value.phase === "lost" ? [row.value] : [],
  );
  const dropped = [...durable.instances].flatMap(([key, { node }]): RowChange<CellTables>[] =>
    lost.some(({ id }) => id === node) ? [{ kind: "delete", table: "instances", key }] : [],
  );
  const raised = lost.map((node): RowChange<CellTables> => {
    return { kind: "put", table: "nodes", key: node.id, value: { ...node, revision: node.revision + 1 } };
  });
  return { ...decision, rowChanges: [...decision.rowChanges, ...dropped, ...raised] };
});

/** Reservations that nobody commits stay for ever. */
const hoarding = withCell((durable, volatile, event, at, limits) => {
  const decision = REAL_CORE.stepCell(durable, volatile, event, at, limits);
  const rowChanges = decision.rowChanges.filter((row) => {
    if (row.table !== "reservations" || row.kind !== "delete") return true;
    return durable.reservations.get(row.key)!.untilMs > at.nowMs;
  });
  return { ...decision, rowChanges };
});

/** Stops what is replaced while edges may still send it requests. */
const abrupt = withApp((durable, volatile, event, at, limits) =>
  REAL_CORE.stepApp(durable, volatile, event, at, { ...limits, drainMs: 0, drainMinMs: 0 }),
);

/** Serves on with what a failed rollout has brought up. */
const stubborn = droppingAppRows(
  (row) => row.table === "route" && row.kind === "put" && row.value.route.state.kind === "serving" && isBackTo(row),
);

/** Whether the route goes from two releases to one. */
function isBackTo(row: RowChange<AppTables>): boolean {
  if (row.table !== "route" || row.kind !== "put") return false;
  const { state } = row.value.route;
  return state.kind === "serving" && state.releases.length === 1 && row.value.route.version > 3;
}

const DOWN: ReadonlySet<FaultClass> = new Set(["power", "isolation"]);

export const BROKEN_CORES: readonly Broken[] = [
  { name: "makes two instances for one slot", invariant: 1, core: () => doubling },
  { name: "changes a document without a new revision", invariant: 2, core: () => silentlyChanging },
  {
    name: "replaces a silent node's available singletons",
    invariant: 4,
    core: () => rash,
    setup: { faults: DOWN, kinds: ["singleton", "singleton", "singleton"] },
  },
  {
    name: "replaces strict singletons too early",
    invariant: 4,
    core: () => impatient,
    setup: { faults: DOWN, kinds: ["strict", "strict", "strict"] },
  },
  {
    name: "commits leases in words only",
    invariant: 4,
    core: () => careless,
    setup: { faults: DOWN, kinds: ["strict", "strict", "strict"] },
  },
  { name: "takes a lost node's instances out of its document", invariant: 5, core: () => ruthless },
  { name: "gives weights that sum to 99", invariant: 6, core: () => unbalanced },
  { name: "routes to an instance that is not ready", invariant: 7, core: () => tooEager },
  { name: "reserves more than a node has", invariant: 10, core: () => generous, setup: { nodes: 2, apps: 5 } },
  { name: "frees room before the node has stopped", invariant: 10, core: () => hasty, setup: { nodes: 2, apps: 10 } },
  { name: "takes the old out before the new is ready", invariant: 11, core: () => stopFirst },
  { name: "serves on with what a rollout left behind", invariant: 11, core: () => stubborn },
  { name: "forgets idempotency keys", invariant: 13, core: () => forgetful },
  { name: "skips an event of the outbox", invariant: 14, core: () => skipping },
  { name: "never hears that an update was applied", invariant: 20, core: () => deafToUpdates },
  { name: "believes its instances without asking", invariant: 21, core: believing },
  { name: "keeps reservations that nobody commits", invariant: 22, core: () => hoarding, setup: { weather: "harsh" } },
  {
    name: "loses the end of a rollout",
    invariant: 22,
    core: () =>
      droppingAppRows((row) => row.table === "rollouts" && row.kind === "put" && row.value.phase.kind === "failed"),
  },
  {
    name: "spreads nothing that must be spread",
    invariant: "spread",
    core: () => crowding,
    setup: { kinds: ["racks", "racks", "racks"] },
  },
  {
    name: "keeps apart only what names the other itself",
    invariant: "apart",
    core: () => nameless,
    setup: { kinds: ["plain", "away", "away"] },
  },
  { name: "places on cordoned nodes", invariant: "cordon", core: () => unheeding },
  {
    name: "does not let what it replaces serve on",
    invariant: "moves",
    core: () => abrupt,
    setup: { faults: new Set() },
  },
];
