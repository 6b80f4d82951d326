// core/restore and core/app/restoring: an App made from a backup waits for its Cells' word, and touches no traffic with an older one.
import { describe, expect, it } from "vitest";
import { RESTORE_SKIP } from "../../../contracts/backup.ts";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceId, NodeId, ReleaseId } from "../../../contracts/ids.ts";
import type { CellToApp, Present } from "../../../core/messages.ts";
import { restoredApp } from "../../../core/restore/app.ts";
import type { CopyRow } from "../../../core/restore/types.ts";
import { as, BenchApp, CELL, idFor, REGION, spec, summary, value } from "../bench-object.ts";

const WAIT_MS = 900_000;

function copyOf(app: BenchApp): CopyRow[] {
  return Object.entries(app.tables).flatMap(([table, rows]) =>
    [...rows].map(([key, row]) => ({ table, key, value: structuredClone(row) as unknown })),
  );
}
function restoredFrom(rows: readonly CopyRow[]): BenchApp {
  const app = new BenchApp();
  for (const table of Object.values(app.tables)) table.clear();
  for (const { table, key, value: row } of restoredApp(rows, {
    eventSeq: 2_000_000,
    nowMs: app.nowMs,
    waitMs: WAIT_MS,
  })) {
    (app.tables[table as keyof BenchApp["tables"]] as Map<string, unknown>).set(key, row);
  }
  app.restart();
  app.tick();
  return app;
}
function served(replicas = 2): BenchApp {
  const app = new BenchApp();
  app.deploy({}, replicas);
  return app;
}

/** What a Cell says of an instance of the App as it was. */
function present(of: BenchApp, instance: InstanceId, more: Partial<DesiredInstance> = {}): Present {
  const row = of.tables.instances.get(instance)!;
  const { app, name, team } = of.tables.app.get("app")!;
  const { source: _, ...made } = spec();
  const desired = {
    ...{ instance, generation: row.generation, app, appName: name, team, release: row.release, version: row.version },
    ...{ ordinal: row.ordinal, intent: "run", source: { kind: "image", reference: "shop/web:1", digest: null } },
    ...{ port: made.port, resources: made.resources, probes: made.probes, stopGraceMs: 1_000, readOnlyRoot: false },
    ...{ hasEnvironment: false, privateImage: false, hostPorts: [], singleton: null, ...more },
  } as DesiredInstance;
  const { generation } = desired;
  const status = { kind: "ready" as const };
  const observed = { instance, generation, app, status, restarts: 0, digest: null, sinceMs: 0 };
  return { desired, placement: { ...row.placement!, generation }, region: REGION, observed };
}
type Word = Omit<Extract<CellToApp, { kind: "restored" }>, "seq">;

/** From a Cell that numbers what it says above all that was ever said. */
function say(app: BenchApp, word: Word): void {
  const ackedSeq = Math.max(RESTORE_SKIP, app.tables.cells.get(CELL)?.inSeq ?? 0);
  app.take({ kind: "deliver", input: { cell: CELL, ackedSeq, messages: [{ ...word, seq: ackedSeq + 1 }] } });
  app.take({ kind: "cells_known", region: REGION, items: [summary()] });
}
const observe = (app: BenchApp, ids: readonly InstanceId[]): void => {
  const seq = app.tables.cells.get(CELL)!.inSeq + 1;
  const messages = ids.map((instance, at) => {
    const { generation, placement } = app.tables.instances.get(instance)!;
    const observed = {
      instance,
      generation,
      app: app.app,
      status: { kind: "ready" as const },
      restarts: 0,
      digest: null,
      sinceMs: 0,
    };
    return { kind: "observed" as const, seq: seq + at, node: placement!.node, observed };
  });
  app.take({ kind: "deliver", input: { cell: CELL, messages } });
};
const routeOf = (app: BenchApp) => app.tables.route.get("route")!.route;
const published = (app: BenchApp) => app.drain("publish_route").map(({ route }) => route);

describe("an App made from a backup", () => {
  it("does nothing and refuses changes until its Cells have spoken, and is read meanwhile", () => {
    const app = restoredFrom(copyOf(served()));
    expect(app.effects.map(({ kind }) => kind)).toEqual(["claim_host"]);
    const scaled = app.take({ kind: "scale", input: { ...as(null), replicas: 5 } });
    expect(scaled).toMatchObject({ ok: false, failure: { code: "overloaded" } });
    expect(app.take({ kind: "route", input: {} })).toMatchObject({ ok: false, failure: { code: "overloaded" } });
    expect(value(app.take({ kind: "read", input: {} })).name).toBe("web");
  });

  it("publishes the same endpoints under a version above all that edges know, once its Cells have spoken", () => {
    const before = served();
    const known = routeOf(before);
    const app = restoredFrom(copyOf(before));
    say(app, { kind: "restored", present: before.of(1).map((id) => present(before, id)), last: true });
    const [route] = published(app);
    expect(route!.version).toBeGreaterThanOrEqual(known.version + RESTORE_SKIP);
    expect(route!.state).toEqual(known.state);
    expect(app.drain("call_cell").filter(({ request }) => request.kind !== "update")).toEqual([]);
  });

  it("gives new instances generations, calls and events numbers above all that were ever given", () => {
    const before = served();
    const app = restoredFrom(copyOf(before));
    say(app, { kind: "restored", present: [present(before, before.of(1)[0]!)], last: true });
    const [call] = app.drain("call_cell").filter(({ request }) => request.kind === "reserve");
    const slots = call?.request.kind === "reserve" ? call.request.request.slots : [];
    expect(slots).toHaveLength(1);
    expect(slots[0]!.generation).toBeGreaterThan(RESTORE_SKIP);
    const events = [...app.tables.events.values()];
    expect(events.length).toBeGreaterThan(0);
    expect(Math.min(...events.map(({ seq }) => seq))).toBe(2_000_001);
    value(app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(), privateImage: false } }));
    expect(Math.max(...[...app.tables.releases.values()].map(({ release }) => release.version))).toBe(1_001);
  });

  it("waits for the last part of a Cell's word", () => {
    const before = served();
    const app = restoredFrom(copyOf(before));
    const [first, second] = before.of(1) as [InstanceId, InstanceId];
    say(app, { kind: "restored", present: [present(before, first)], last: false });
    expect(published(app)).toEqual([]);
    say(app, { kind: "restored", present: [present(before, second)], last: true });
    expect(published(app)).toHaveLength(1);
    expect(app.of(1)).toEqual([first, second]);
  });

  it("takes over instances of its release that were made since, and routes to them", () => {
    const before = served(1);
    const copy = copyOf(before);
    const [old] = before.of(1) as [InstanceId];
    const moved = idFor<InstanceId>("ins", 77);
    const app = restoredFrom(copy);
    const entry = present(before, old, { instance: moved, generation: 2 });
    const placement = { ...entry.placement, instance: moved, node: idFor<NodeId>("node", 9) };
    const observed = { ...entry.observed!, instance: moved };
    say(app, { kind: "restored", present: [{ ...entry, placement, observed }], last: true });
    expect(app.of(1)).toEqual([moved]);
    expect(published(app)[0]!.state).toMatchObject({
      kind: "serving",
      releases: [{ endpoints: [{ instance: moved }] }],
    });
  });

  it("lets a release that it does not know run on, and leaves the edge its route until its own serves in full", () => {
    const before = served(1);
    const [old] = before.of(1) as [InstanceId];
    const app = restoredFrom(copyOf(before));
    const newer = idFor<InstanceId>("ins", 78);
    const entry = present(before, old, { instance: newer, release: idFor<ReleaseId>("rel", 9), version: 2 });
    say(app, {
      kind: "restored",
      present: [{ ...entry, observed: { ...entry.observed!, instance: newer } }],
      last: true,
    });
    expect(published(app)).toEqual([]);
    expect(app.take({ kind: "route", input: {} })).toMatchObject({ ok: false });
    expect(app.grantAll()).not.toContain("update");
    observe(app, app.of(1));
    expect(published(app)[0]!.state).toMatchObject({ kind: "serving" });
    app.grantAll();
    expect(app.tables.app.get("app")!.foreign?.items).toEqual([{ cell: expect.anything(), instance: newer }]);
    value(
      app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec({ port: 9_000 }), privateImage: false } }),
    );
    app.grantAll();
    observe(app, app.of(1_001));
    app.grantAll();
    app.answerVerify();
    const calls = [...app.tables.calls.values()].map(({ call }) => call);
    expect(calls.flatMap((call) => (call.kind === "update" ? call.request.remove : []))).toContain(newer);
    expect(app.tables.app.get("app")!.foreign).toBeNull();
  });

  it("takes what a Cell held for lost where that Cell says nothing for long, and starts it elsewhere", () => {
    const app = restoredFrom(copyOf(served(1)));
    app.tick(WAIT_MS);
    app.take({ kind: "cells_known", region: REGION, items: [summary()] });
    expect(app.drain("call_cell").map(({ request }) => request.kind)).toContain("reserve");
  });
});
