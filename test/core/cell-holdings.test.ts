// core/cell/holdings: what is kept beside the rows says what the rows say, whatever happened, and no step depends on it.
import { describe, expect, it } from "vitest";
import { holdingsOf, type Holdings } from "../../core/cell/holdings.ts";
import { stepCell } from "../../core/cell/step.ts";
import type { CellDecision, CellEvent, CellReply } from "../../core/cell/types.ts";
import { earliestDue, popDue, pushDue, type DueHeap } from "../../core/heap.ts";
import { BenchCell, insId, nodeId } from "./bench-object.ts";
import { appId, cellOf, commit, desiredOf, numberOf, reserve, seen, update } from "./cell-bench.ts";
import { SEED, announced } from "./seed.ts";

const NODES = 6;
const STEPS = 1_500;
/** Pools are made with the seed of their first step: one seed for all makes a kept pool and a new one alike. */
const AT_SEED = "5eed".repeat(8);

function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Takes every step twice: with the holdings that were kept, and with such as are made from the rows. */
class TwinCell extends BenchCell {
  loseNext = false;
  lost = 0;

  override take<Event extends CellEvent>(event: Event): CellReply<Event["kind"]> {
    const at = { nowMs: this.nowMs, seed: AT_SEED };
    const anew = stepCell(this.tables, { ...this.volatile, holdings: null }, event, at, this.limits);
    const kept = stepCell(this.tables, this.volatile, event, at, this.limits);
    expect(shown(kept)).toEqual(shown(anew));
    if (this.loseNext) {
      // The rows could not be stored: the object answers with an error and goes on as it was.
      this.loseNext = false;
      this.lost += 1;
      return kept.reply;
    }
    for (const change of kept.rowChanges) {
      const table = this.tables[change.table] as Map<string, unknown>;
      if (change.kind === "put") table.set(change.key, change.value);
      else table.delete(change.key);
    }
    this.volatile = kept.volatile;
    this.wakeAtMs = kept.wakeAtMs;
    this.effects.push(...kept.effects);
    const { holdings } = kept.volatile.holdings!;
    expect(contentsOf(holdings)).toEqual(contentsOf(holdingsOf(this.tables, null)));
    return kept.reply;
  }
}

/** Apps are delivered to in the order in which they came to wait, which rows do not tell. */
const shown = ({ rowChanges, effects, reply, wakeAtMs }: CellDecision<CellEvent["kind"]>) => ({
  ...{ rowChanges, reply, wakeAtMs },
  effects: effects.map((effect) => JSON.stringify(effect)).sort(),
});

const sorted = <Value>(entries: Iterable<[string, Value]>) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));

function contentsOf(holdings: Holdings) {
  const { instances, reservations, answers, apps } = holdings;
  return {
    counts: { instances, reservations, answers, apps },
    waiting: [...holdings.waiting].sort(),
    ofApp: sorted(holdings.ofApp).map(([app, rows]) => [app, [...rows]]),
    onNode: sorted(holdings.onNode).map(([node, on]) => [
      node,
      { ...on, version: 0, instances: [...on.instances], reservations: sorted(on.reservations) },
      { hostPorts: [...on.hostPorts].sort(([a], [b]) => a - b), apps: sorted(on.apps) },
    ]),
  };
}

describe("holdings", () => {
  it(announced("are what the rows say after any steps, and no step's result depends on them"), () => {
    const random = randomFrom(SEED);
    const upTo = (n: number) => Math.floor(random() * n);
    const cell = new TwinCell({ messagesPendingMax: 4, instancesPerCellMax: 60 });
    for (let n = 0; n < NODES; n += 1) cell.enrol(n);
    let next = 1;
    const open: { n: number; app: number }[] = [];
    const acts: (() => void)[] = [
      () => void cell.beat(upTo(NODES), { gatewayReady: random() < 0.9, images: [`sha256:${upTo(3)}`] }),
      () => {
        const app = 1 + upTo(5);
        const ns = Array.from({ length: 1 + upTo(3) }, () => next++);
        reserve(cell, `k${next}`, ns, {
          app,
          cpuMilli: 10 + upTo(90),
          policy: { hostPorts: random() < 0.2 ? [7_000] : [] },
        });
        for (const n of ns) open.push({ n, app });
      },
      () => {
        const [slot] = open.splice(upTo(open.length), 1);
        if (slot) commit(cell, [slot.n], { app: slot.app });
      },
      () => {
        const rows = [...cell.tables.instances.values()];
        const row = rows[upTo(rows.length)];
        if (!row) return;
        const app = [1, 2, 3, 4, 5].find((n) => appId(n) === row.desired.app)!;
        update(cell, { [random() < 0.5 ? "drain" : "remove"]: [row.desired.instance], routeVersion: upTo(50) }, app);
      },
      () => {
        const n = 1 + upTo(next);
        if (!cell.tables.instances.has(insId(n))) return;
        const row = cell.tables.instances.get(insId(n))!;
        const app = [1, 2, 3, 4, 5].find((number) => appId(number) === row.desired.app)!;
        cell.beat(numberOf(cell, n), { observed: [seen(n, { kind: random() < 0.5 ? "ready" : "starting" }, app)] });
      },
      () => {
        for (const { app, messages } of cell.drain("deliver_messages")) {
          if (random() < 0.3) cell.take({ kind: "delivery_failed", app, message: "away" });
          else cell.take({ kind: "delivered", app, ackSeq: messages.at(-1)!.seq });
        }
      },
      () => cell.tick(upTo(3_000)),
      () => cell.tick(random() < 0.1 ? 31_000 : 200),
      () => void (cell.loseNext = true),
      () => (random() < 0.1 ? cell.restart() : undefined),
      () => {
        const input = { node: nodeId(upTo(NODES)), actor: "user:op" };
        if (random() < 0.3) cell.take({ kind: random() < 0.5 ? "drain" : "uncordon", input });
        else if (random() < 0.05) cell.take({ kind: "remove", input: { ...input, force: true } });
      },
      () => void cell.take({ kind: "rebalance", input: { actor: "user:op", execute: random() < 0.1 } }),
    ];
    for (let step = 0; step < STEPS; step += 1) acts[upTo(acts.length)]!();
    expect(cell.lost).toBeGreaterThan(0);
    expect(next).toBeGreaterThan(20);
  });

  it("are made anew where rows were changed by other means", () => {
    const cell = new BenchCell();
    cell.enrol(0);
    cell.beat(0);
    reserve(cell, "k", [1], { cpuMilli: 600 });
    cell.tables.reservations.clear();
    cell.tables.instances.set(insId(2), {
      desired: desiredOf(2, { cpuMilli: 900 }),
      node: nodeId(0),
      state: { kind: "desired" },
    });
    expect(reserve(cell, "l", [3], { cpuMilli: 200 }).refused.length).toBe(1);
    expect(reserve(cell, "m", [3], { cpuMilli: 100 }).placements.length).toBe(1);
  });
});

describe("messages of thousands of Apps", () => {
  it("are sent a few Apps a step, all of them soon, and those that fail hold up nobody", () => {
    const cell = cellOf(2, { deliveriesPerStepMax: 3 });
    const apps = Array.from({ length: 20 }, (_, n) => n + 1);
    for (const app of apps) {
      reserve(cell, `k${app}`, [app], { app, cpuMilli: 10 });
      commit(cell, [app], { app });
    }
    cell.drain("deliver_messages");
    for (const node of [0, 1]) {
      const there = apps.filter((app) => numberOf(cell, app) === node);
      cell.beat(node, { observed: there.map((app) => seen(app, { kind: "ready" }, app)) });
    }
    const reached = new Set<string>();
    for (let wakes = 0; wakes < 30 && reached.size < apps.length - 2; wakes += 1) {
      for (const { app, messages } of cell.drain("deliver_messages")) {
        if (app === appId(1) || app === appId(2)) continue;
        reached.add(app);
        cell.take({ kind: "delivered", app, ackSeq: messages.at(-1)!.seq });
      }
      cell.tick(Math.max(1, cell.wakeAtMs! - cell.nowMs));
    }
    expect(reached.size).toBe(18);
  });
});

describe("a queue of keys by time", () => {
  it(announced("gives them in the order of time, then key, and passes over what is no longer meant"), () => {
    const random = randomFrom(SEED);
    const heap: DueHeap = [];
    const all = Array.from({ length: 500 }, (_, n) => ({ atMs: Math.floor(random() * 50), key: `k${n}` }));
    for (const due of all) pushDue(heap, due);
    const dropped = new Set(all.filter(() => random() < 0.5).map(({ key }) => key));
    const given: typeof all = [];
    const isMeant = ({ key }: { key: string }) => !dropped.has(key);
    for (let due = earliestDue(heap, isMeant); due; due = earliestDue(heap, isMeant)) given.push(popDue(heap)!);
    const expected = all.filter(isMeant).sort((a, b) => a.atMs - b.atMs || (a.key < b.key ? -1 : 1));
    expect(given).toEqual(expected);
  });
});
