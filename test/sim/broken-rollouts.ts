// Cores that roll out as they must not: weights that stay, checks that are skipped, old instances that go early, judges that hear nothing.
import { instanceKey } from "../../contracts/desired.ts";
import type { Route, RouteRelease } from "../../contracts/route.ts";
import type { AppEffect, AppEvent, AppTables, CellCall } from "../../core/app/types.ts";
import { isActive, planOf, type RolloutRow } from "../../core/rollout/types.ts";
import { begun } from "../../core/rollout/step.ts";
import type { RowChange } from "../../core/step.ts";
import { withApp, type AppStep, type Broken } from "./broken.ts";
import { REAL_CORE } from "./cluster.ts";

type Durable = Parameters<AppStep>[0];
type Change = RowChange<AppTables>;

const activeOf = ({ app, rollouts }: Durable): RolloutRow | null => {
  const id = app.get("app")?.rollout;
  return (id && rollouts.get(id)) || null;
};

/** Another step's row changes, as `change` makes them of the real ones. */
const changing = (change: (rows: readonly Change[], durable: Durable) => readonly Change[]) =>
  withApp((durable, volatile, event, at, limits) => {
    const decision = REAL_CORE.stepApp(durable, volatile, event, at, limits);
    return { ...decision, rowChanges: change(decision.rowChanges, durable) };
  });

function endOf(rows: readonly Change[], durable: Durable): RolloutRow | null {
  const row = activeOf(durable);
  const ended = rows.findLast(
    (change) => change.table === "rollouts" && change.kind === "put" && change.key === row?.id,
  );
  if (ended?.table !== "rollouts" || ended.kind !== "put") return null;
  const { kind } = ended.value.phase;
  return kind === "aborted" || kind === "cancelled" || kind === "failed" ? ended.value : null;
}

/** The route of before stays when a rollout is given up. */
const clinging = changing((rows, durable) =>
  endOf(rows, durable) ? rows.filter(({ table }) => table !== "route") : rows,
);

/** What was given up serves all the same. */
const contrary = changing((rows, durable) => {
  const row = endOf(rows, durable);
  return rows.map((change) => {
    if (!row || change.table !== "app" || change.kind !== "put") return change;
    return { ...change, value: { ...change.value, current: row.to } };
  });
});

/** A promotion stands for the answers that nobody gave. */
const trusting = withApp((durable, volatile, event, at, limits) => {
  const row = activeOf(durable);
  const isPromoted = event.kind === "controlRollout" && event.input.command === "promote";
  if (!row || !isPromoted) return REAL_CORE.stepApp(durable, volatile, event, at, limits);
  const own = [...durable.instances.values()].filter(({ cohort }) => cohort === row.to.cohort);
  const verified = own.map(({ id, generation }) => instanceKey({ instance: id, generation }));
  const rollouts = new Map(durable.rollouts).set(row.id, { ...row, verified });
  return REAL_CORE.stepApp({ ...durable, rollouts }, volatile, event, at, limits);
});

/** A canary that is given a step takes the place of an old one. */
const greedy = withApp((durable, volatile, event, at, limits) => {
  const decision = REAL_CORE.stepApp(durable, volatile, event, at, limits);
  const row = activeOf(durable);
  if (row?.phase.kind !== "holding" || planOf(row).strategy.kind !== "canary") return decision;
  const old = [...durable.instances.values()].find(
    ({ cohort, phase, observed }) =>
      cohort === row.from?.cohort && phase.kind === "running" && observed?.kind === "ready",
  );
  if (!old || decision.rowChanges.length === 0) return decision;
  const phase = { kind: "draining" as const, sinceMs: at.nowMs, untilMs: at.nowMs + 6_000, told: false };
  const change: Change = { kind: "put", table: "instances", key: old.id, value: { ...old, phase } };
  return { ...decision, rowChanges: [...decision.rowChanges, change] };
});

/** What is called back goes on draining, as far as its Cell knows. */
const mute = withApp((durable, volatile, event, at, limits) => {
  const decision = REAL_CORE.stepApp(durable, volatile, event, at, limits);
  const muted = (call: CellCall): CellCall => {
    if (call.kind !== "update") return call;
    const { run: _, ...request } = call.request;
    return { ...call, request };
  };
  const rowChanges = decision.rowChanges.map((change): Change => {
    if (change.table !== "calls" || change.kind !== "put") return change;
    return { ...change, value: { ...change.value, call: muted(change.value.call) } };
  });
  const effects = decision.effects.map((effect): AppEffect => {
    return effect.kind === "call_cell" ? { ...effect, request: muted(effect.request) } : effect;
  });
  return { ...decision, rowChanges, effects };
});

/** Of two releases in the route: these shares instead of what was decided. */
const weighing = (strategy: string, reweigh: (to: RouteRelease, from: RouteRelease) => number) =>
  changing((rows, durable) => {
    const row = activeOf(durable);
    return rows.map((change) => {
      if (!row || change.table !== "route" || change.kind !== "put") return change;
      const { state } = change.value.route;
      if (state.kind !== "serving" || state.releases.length !== 2 || planOf(row).strategy.kind !== strategy)
        return change;
      const to = state.releases.find(({ release }) => release === row.to.release);
      const from = state.releases.find(({ release }) => release === row.from?.release);
      if (!to || !from || to === from) return change;
      const weight = reweigh(to, from);
      const releases = [
        { ...from, weight: 100 - weight },
        { ...to, weight },
      ];
      const route: Route = { ...change.value.route, state: { ...state, releases } };
      return { ...change, value: { ...change.value, route } };
    });
  });

/** Counts no error. */
const gullible = withApp((durable, volatile, event, at, limits) => {
  const items = event.kind === "counted" ? event.input.items : [];
  const praised = items.map((item) => {
    const { s2xx, s5xx } = item.status;
    return { ...item, status: { ...item.status, s2xx: s2xx + s5xx, s5xx: 0 } };
  });
  const taken: AppEvent =
    event.kind === "counted" ? { kind: "counted", input: { ...event.input, items: praised } } : event;
  return REAL_CORE.stepApp(durable, volatile, taken, at, limits);
});

/** Once traffic has gone to a release nobody can take it back. */
const headstrong = withApp((durable, volatile, event, at, limits) => {
  const isHolding = activeOf(durable)?.phase.kind === "holding";
  const isAbort = event.kind === "controlRollout" && event.input.command === "abort";
  if (!isHolding || !isAbort) return REAL_CORE.stepApp(durable, volatile, event, at, limits);
  const failure = { code: "conflict" as const, message: "not now" };
  const asked = REAL_CORE.stepApp(durable, volatile, { kind: "tick" }, at, limits);
  return { ...asked, reply: { ok: false, failure } };
});

/** Nobody waits for the command before. */
const rash = withApp((durable, volatile, event, at, limits) => {
  const row = activeOf(durable);
  if (row?.phase.kind !== "preparing") return REAL_CORE.stepApp(durable, volatile, event, at, limits);
  const rollouts = new Map(durable.rollouts).set(row.id, { ...begun(row), revision: (row.revision ?? 0) + 1 });
  return REAL_CORE.stepApp({ ...durable, rollouts }, volatile, event, at, limits);
});

/** What crashed will come back one day. */
const hopeful = withApp((durable, volatile, event, at, limits) =>
  REAL_CORE.stepApp(durable, volatile, event, at, { ...limits, fallPatienceMs: 1e9, fallResetMs: 0 }),
);

/** Every turn has the same number. */
const unnumbered = changing((rows) =>
  rows.map((change) =>
    change.table === "rollouts" && change.kind === "put"
      ? { ...change, value: { ...change.value, revision: 1 } }
      : change,
  ),
);

/** What has ended begins again. */
const undying = changing((rows, durable) => {
  const ended = [...durable.rollouts.values()].find(({ phase }) => !isActive(phase) && phase.kind !== "completed");
  if (!ended || rows.length === 0) return rows;
  const phase = { kind: "rolling" as const, ready: 0, waitingFor: null };
  return [...rows, { kind: "put", table: "rollouts", key: ended.id, value: { ...ended, phase } }];
});

/** Many whose rollouts nothing but their plans holds up. */
const PLAIN: Broken["setup"] = { kinds: ["plain", "plain", "plain", "plain", "plain", "plain"] };

export const BROKEN_ROLLOUTS: readonly Broken[] = [
  {
    name: "switches a green bit by bit",
    invariant: 6,
    core: () => weighing("blue_green", ({ weight }) => (weight === 100 ? 50 : weight)),
    setup: PLAIN,
  },
  {
    name: "gives a canary more than its step",
    invariant: 6,
    core: () => weighing("canary", ({ weight }) => Math.min(100, weight * 2)),
  },
  { name: "leaves a given-up release its weight", invariant: 11, core: () => clinging },
  { name: "serves by what was given up", invariant: 11, core: () => contrary },
  { name: "takes an old instance for each canary", invariant: 11, core: () => greedy },
  {
    name: "calls back without telling the Cell",
    invariant: 20,
    core: () => mute,
    setup: { ...PLAIN, faults: new Set() },
  },
  { name: "takes a promotion for an answer", invariant: 21, core: () => trusting, setup: PLAIN },
  { name: "skips the command before a release", invariant: 21, core: () => rash },
  {
    name: "waits for ever for a canary that crashes",
    invariant: 22,
    core: () => hopeful,
    setup: { manner: "careful" },
  },
  { name: "lets nobody abort what has traffic", invariant: 22, core: () => headstrong },
  { name: "numbers no turn of a rollout", invariant: 22, core: () => unnumbered },
  { name: "begins again what was given up", invariant: 22, core: () => undying },
  {
    name: "counts no error of a release",
    invariant: "judged",
    core: () => gullible,
    setup: { faults: new Set(), manner: "careful" },
  },
];
