// What a rollout may do to an app, kept beside the real one: what serves, who answered, which revision it had. Everything is asked after every command.
import { expect } from "vitest";
import { instanceKey } from "../../contracts/desired.ts";
import { ROLLOUT_COMMANDS } from "../../contracts/rollout-plan.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import { isReady } from "../../core/app/instances.ts";
import type { InstanceRow } from "../../core/app/types.ts";
import { isActive, planOf, type RolloutRow, type Share, type Target } from "../../core/rollout/types.ts";
import { weights } from "./app-rolling.ts";
import { BenchApp, as } from "./bench-object.ts";

export interface Model {
  /** By cohort, what serves if the rollout under way comes to nothing. */
  serving: string;
  /** instanceKey of whoever answered through the edge. */
  readonly answered: Set<string>;
  readonly rows: Map<string, RolloutRow>;
  /** How many endpoints had traffic, and what of the current cohort was ready. */
  served: number;
  well: ReadonlySet<InstanceId>;
  /** Instances were lost, or fell ill, in the last command: what follows from that is no decision. */
  isHurt: boolean;
  /** In which states every word was tried. */
  readonly tried: Set<string>;
}

export const newModel = (app: BenchApp): Model => {
  const model: Model = {
    serving: "",
    answered: new Set(),
    rows: new Map(app.tables.rollouts),
    served: 0,
    well: new Set(),
    isHurt: true,
    tried: new Set(),
  };
  for (const row of app.tables.instances.values()) model.answered.add(keyOf(row));
  model.serving = servingOf(app);
  return model;
};

export const keyOf = ({ id, generation }: InstanceRow): string => instanceKey({ instance: id, generation });

export function activeOf(app: BenchApp): RolloutRow | null {
  const { rollout } = app.tables.app.get("app")!;
  return rollout ? app.tables.rollouts.get(rollout)! : null;
}

export function sharesOf(app: BenchApp): readonly Share[] {
  const { current, aside = [] } = app.tables.app.get("app")!;
  if (!current) return [];
  return withRest(current, aside);
}
const withRest = (primary: Target, aside: readonly Share[] = []): readonly Share[] => {
  const rest = aside.reduce((sum, { weight }) => sum + weight, 0);
  return [{ target: primary, weight: 100 - rest }, ...aside];
};
const servingOf = (app: BenchApp): string =>
  sharesOf(app)
    .map(({ target, weight }) => `${target.cohort}=${weight}`)
    .join();

/** The invariants 6, 7, 11, 21 and 22, as far as a rollout can break them. */
export function hold(model: Model, app: BenchApp): void {
  const now = weights(app);
  const ended: RolloutRow[] = [];
  for (const row of app.tables.rollouts.values()) {
    const before = model.rows.get(row.id);
    if (before) turned(before, row);
    if (!isActive(row.phase) && (!before || isActive(before.phase))) ended.push(row);
    model.rows.set(row.id, row);
  }
  for (const row of ended) if (row.phase.kind === "completed") answeredByAll(model, app, row);
  restored(model, app, ended, now);
  neverBelow(model, app);
  const active = activeOf(app);
  if (active) underWay(model, app, active, now);
}

/** 22: a revision only rises, with every turn; what has ended stays so. */
function turned(before: RolloutRow, row: RolloutRow): void {
  const [was = 0, is = 0] = [before.revision, row.revision];
  expect(is, "its revision").toBeGreaterThanOrEqual(was);
  const turn = ({ phase, stage, weight, paused }: RolloutRow) => JSON.stringify([phase.kind, stage, weight, paused]);
  if (turn(before) !== turn(row)) expect(is, `${turn(before)} became ${turn(row)}`).toBeGreaterThan(was);
  if (!isActive(before.phase)) expect(row.phase).toEqual(before.phase);
}

/** 21: of all that is to serve, every replica. */
function answeredByAll(model: Model, app: BenchApp, { to, toAside }: RolloutRow): void {
  for (const { target } of withRest(to, toAside)) {
    const rows = [...app.tables.instances.values()].filter(({ cohort }) => cohort === target.cohort);
    const answered = new Set(rows.filter((row) => model.answered.has(keyOf(row))).map(({ ordinal }) => ordinal));
    for (let ordinal = 0; ordinal < target.replicas; ordinal += 1) {
      expect(answered.has(ordinal), `v${target.version}/${ordinal} completed without an answer`).toBe(true);
    }
  }
}

/** 11: only what completes changes what serves; without a rollout the weights are what serves says, where all of it can. */
function restored(model: Model, app: BenchApp, ended: readonly RolloutRow[], now: Record<string, number>): void {
  const serving = servingOf(app);
  const { current } = app.tables.app.get("app")!;
  const isEarned = ended.some(({ phase, to }) => phase.kind === "completed" && to.cohort === current?.cohort);
  if (!isEarned) expect(serving, "what serves, and no rollout completed").toBe(model.serving);
  model.serving = serving;
  if (activeOf(app)) return;
  const wanted = new Map<string, number>();
  for (const { target, weight } of sharesOf(app)) {
    wanted.set(`v${target.version}`, (wanted.get(`v${target.version}`) ?? 0) + weight);
  }
  const served = Object.entries(now).filter(([, weight]) => weight > 0);
  for (const [version, weight] of served) {
    expect(wanted.has(version), `${version} has traffic and no rollout`).toBe(true);
    if (served.length === wanted.size) expect(weight, version).toBe(wanted.get(version));
  }
}

/** 11: no decision takes what is ready below the plan's policy; while a canary or a green is tried the old stay whole. */
function neverBelow(model: Model, app: BenchApp): void {
  const { current, replicas } = app.tables.app.get("app")!;
  const active = activeOf(app);
  const { state } = app.tables.route.get("route")!.route;
  const served =
    state.kind === "serving"
      ? state.releases.flatMap(({ weight, endpoints }) => (weight > 0 ? endpoints : [])).length
      : 0;
  const own = [...app.tables.instances.values()].filter(({ cohort }) => cohort === current?.cohort);
  const well = new Set(own.filter(isReady).map(({ id }) => id));
  const before = { served: model.served, well: model.well, isHurt: model.isHurt };
  Object.assign(model, { served, well, isHurt: false });
  if (before.isHurt || !current) return;
  const whole = Math.min(before.well.size, current.replicas, active?.to.replicas ?? replicas);
  const floor = Math.min(before.served, active ? floorOf(active, whole) : whole);
  expect(served, `endpoints with traffic, of ${before.served} before`).toBeGreaterThanOrEqual(floor);
  if (!active || !isGradual(active)) return;
  const stay = own.filter(({ id, ordinal }) => before.well.has(id) && ordinal < current.replicas);
  for (const row of stay) expect(row.phase.kind, `v${row.version}/${row.ordinal}`).toBe("running");
}

/** Another that goes its own way from here: rows and memory are never changed in place. */
function copyOf(app: BenchApp): BenchApp {
  const copy = Object.create(BenchApp.prototype) as BenchApp;
  const tables = Object.fromEntries(
    Object.entries(app.tables).map(([name, rows]) => [name, new Map<string, unknown>(rows)]),
  );
  return Object.assign(copy, app, { tables, effects: [...app.effects] });
}

const isGradual = (row: RolloutRow): boolean =>
  ["canary", "blue_green"].includes(planOf(row).strategy.kind) &&
  row.from !== null &&
  row.from.cohort !== row.to.cohort;

function floorOf(row: RolloutRow, whole: number): number {
  const { strategy } = planOf(row);
  if (strategy.kind === "immediate" && row.from?.cohort !== row.to.cohort) return Math.min(1, whole);
  if (strategy.kind !== "rolling" || typeof strategy.maxUnavailable !== "number") return whole;
  return Math.max(0, whole - strategy.maxUnavailable);
}

/** 22: it has a deadline for which somebody wakes, and a way out by every word. 6: it has no more than it was let have. */
function underWay(model: Model, app: BenchApp, row: RolloutRow, now: Record<string, number>): void {
  expect(row.deadlineAtMs).toBeGreaterThan(app.nowMs - 1);
  expect(app.wakeAtMs, "its alarm").not.toBeNull();
  expect(app.wakeAtMs!).toBeLessThanOrEqual(row.deadlineAtMs);
  const seen = `${row.id} ${row.phase.kind} ${row.stage} ${Boolean(row.paused)}`;
  for (const command of model.tried.has(seen) ? [] : ROLLOUT_COMMANDS) {
    const copy = copyOf(app);
    const reply = copy.take({ kind: "controlRollout", input: { ...as(null), rollout: row.id, command } });
    const isTaken = reply.ok || (command === "promote" && reply.failure.code === "conflict");
    expect(isTaken, `${command} while ${row.phase.kind}: ${JSON.stringify(reply).slice(0, 200)}`).toBe(true);
    if (command === "abort") expect(copy.tables.rollouts.get(row.id)!.phase.kind).toBe("aborted");
    if (command === "cancel") expect(copy.tables.rollouts.get(row.id)!.phase.kind).toBe("cancelled");
    weights(copy);
  }
  model.tried.add(seen);
  const serves = sharesOf(app).map(({ target }) => `v${target.version}`);
  const fresh = `v${row.to.version}`;
  const others = Object.entries(now).filter(([version, weight]) => version !== fresh && weight > 0);
  if (!isGradual(row) || serves.includes(fresh) || others.length === 0 || row.from!.replicas === 0) return;
  expect(now[fresh] ?? 0, `${fresh} has more than it was let have`).toBeLessThanOrEqual(row.weight ?? 0);
}
