// core/app: what Cells tell of gateways' counters: only what came during the rollout, each request once.
import { expect, it } from "vitest";
import type { InstanceId } from "../../contracts/ids.ts";
import { BenchApp, CELL } from "./bench-object.ts";
import { command, release, serving, upAndAnswer, weights } from "./app-rolling.ts";

const STATUS = { s1xx: 0, s2xx: 0, s3xx: 0, s4xx: 0, s5xx: 0 };
function tell(app: BenchApp, instance: InstanceId, requests: number, more: Record<string, unknown> = {}): void {
  const { generation, release } = app.tables.instances.get(instance)!;
  const { team } = app.tables.app.get("app")!;
  const counters = { instance, generation, app: app.app, team, release, requests, latency: [requests], ...more };
  const usage = { runningMs: 0, cpuMs: 0, memoryByteMs: 0, bytesIn: 0, bytesOut: 0 };
  const status = { ...STATUS, s2xx: requests };
  app.take({ kind: "counted", input: { cell: CELL, items: [{ ...usage, status, ...counters }] } });
}
/** version → requests since the rollout was last judged. */
function fresh(app: BenchApp): Record<string, number> {
  const found: Record<string, number> = {};
  for (const {
    release: { id, version },
  } of app.tables.releases.values()) {
    const { requests, latency } = app.volatile.uncounted?.get(id) ?? { requests: 0, latency: [] };
    expect(latency.reduce((sum, count) => sum + count, 0)).toBe(requests);
    found[`v${version}`] = requests;
  }
  return found;
}
const held = { strategy: { kind: "canary" as const, steps: [{ weight: 50 }] }, analysis: null };

it("counts from the first reading of each instance on, and each request once, in whatever order it hears of them", () => {
  const app = serving(1);
  release(app, held);
  upAndAnswer(app, 2);
  const [old, young] = [app.of(1)[0]!, app.of(2)[0]!];
  tell(app, old, 1_000);
  tell(app, young, 0);
  expect(fresh(app)).toEqual({ v1: 0, v2: 0 });
  for (const requests of [1_010, 1_005, 1_020, 1_020]) tell(app, old, requests);
  tell(app, young, 7);
  expect(fresh(app)).toEqual({ v1: 20, v2: 7 });
  tell(app, young, 50, { generation: 9 });
  expect(fresh(app)).toEqual({ v1: 20, v2: 7 });
});

it("leaves out who asked for a release by its name: billed, in no status class", () => {
  const app = serving(1);
  release(app, held);
  upAndAnswer(app, 2);
  const young = app.of(2)[0]!;
  tell(app, young, 10);
  tell(app, young, 40, { status: { ...STATUS, s2xx: 12 }, latency: [12] });
  expect(fresh(app)).toEqual({ v1: 0, v2: 2 });
});

it("counts nothing that came between two rollouts", () => {
  const app = serving(1);
  release(app, held);
  upAndAnswer(app, 2);
  const old = app.of(1)[0]!;
  tell(app, old, 0);
  tell(app, old, 10);
  command(app, "abort");
  app.tick(60_000);
  release(app, held);
  upAndAnswer(app, 3);
  tell(app, old, 5_000);
  tell(app, old, 5_003);
  expect(fresh(app)).toMatchObject({ v1: 3, v3: 0 });
});

const watchesTold = (app: BenchApp): boolean[] =>
  app.drain("call_cell").flatMap(({ call, request }) => {
    if (request.kind !== "update") return [];
    app.take({ kind: "updated", call, answer: { ok: true, value: null } });
    return [request.request.watch];
  });

it("has requests counted only while a judge needs them, and says so to Cells that would hear of nothing else", () => {
  const app = new BenchApp();
  app.deploy({}, 1);
  expect([...app.tables.cells.values()]).toMatchObject([{ watchTold: false }]);
  release(app, { strategy: { kind: "blue_green", watchMs: 60_000 } });
  upAndAnswer(app, 2);
  expect(weights(app)).toMatchObject({ v2: 100 });
  expect([...app.tables.cells.values()]).toMatchObject([{ watchTold: true }]);
  app.tick(60_000);
  app.tick(app.limits.judgeIntervalMs);
  // Blue stays warm: the route is the very same.
  expect([app.phase(), watchesTold(app).at(-1)]).toEqual(["completed", false]);
  app.tick(60_000);
  expect(watchesTold(app)).toEqual([]);
});

it("tells a Cell of an older version's row once that nothing is counted", () => {
  const app = serving(1);
  const [[cell, link]] = [...app.tables.cells] as [[string, object]];
  const { watchTold: _absent, ...old } = link as { watchTold: boolean };
  app.tables.cells.set(cell, old as never);
  app.tick(1);
  expect(watchesTold(app)).toEqual([false]);
  app.tick(1);
  expect(watchesTold(app)).toEqual([]);
});
