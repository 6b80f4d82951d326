// core/app: instances that do not do well where they are go elsewhere: crash loops, failed pulls, full disks, dead agents.
import { describe, expect, it } from "vitest";
import type { InstanceFailure } from "../../contracts/failures.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import { eventsOf, nodeOf, phaseOf, routed, rowOf } from "./app-on-bench.ts";
import { BenchApp, as, placementOf, spec, value } from "./bench-object.ts";

const because = (code: InstanceFailure["code"]): InstanceFailure => ({
  code,
  message: `it was ${code}`,
  exitCode: null,
  signal: null,
  logTail: [],
});
const deployed = (limits = {}) => {
  const app = new BenchApp(limits);
  app.deploy();
  return { app, first: app.of(1)[0]! };
};
/** It ends, waits and starts again, `times` times. */
function crash(app: BenchApp, id: InstanceId, times: number, code: InstanceFailure["code"] = "exited"): void {
  for (let round = 0; round < times; round += 1) {
    app.nowMs += 10;
    app.observe(
      [id],
      { kind: "backoff", failure: because(code), retryAtMs: app.nowMs + 5 },
      { restarts: rowOf(app, id).crashes },
    );
  }
}
/** Time goes on until nothing more is due within withinMs. */
function runOn(app: BenchApp, withinMs: number): void {
  const untilMs = app.nowMs + withinMs;
  app.grantAll();
  while (app.wakeAtMs !== null && app.wakeAtMs <= untilMs) {
    app.nowMs = Math.max(app.nowMs + 1, app.wakeAtMs);
    app.tick();
    app.grantAll();
  }
  app.nowMs = Math.max(app.nowMs, untilMs);
}

describe("an instance that keeps crashing", () => {
  it("goes elsewhere when its restart budget is spent, start-first, and the event says why", () => {
    const { app, first } = deployed();
    crash(app, first, app.limits.restartBudget - 1);
    expect(rowOf(app, first).leaving ?? null).toBeNull();
    crash(app, first, 1);
    expect(eventsOf(app, "instance.evacuating")).toMatchObject([
      { subject: first, data: { cause: "crash_loop", instance: { failure: { code: "exited" } } } },
    ]);
    // Ready at times: it serves on when it can.
    app.observe([first], { kind: "ready" }, { restarts: 5 });
    expect(routed(app)).toEqual([first]);
    runOn(app, app.limits.replaceBackoffMs);
    const second = app.of(1)[1]!;
    expect(rowOf(app, second)).toMatchObject({ generation: 2 });
    expect(nodeOf(app, second)).not.toBe(nodeOf(app, first));
    app.observe([second], { kind: "ready" });
    expect([phaseOf(app, first), routed(app)]).toEqual(["draining", [second]]);
  });

  it("keeps its place when it runs well again before a replacement is ready", () => {
    const { app, first } = deployed();
    crash(app, first, app.limits.restartBudget);
    runOn(app, app.limits.replaceBackoffMs);
    const second = app.of(1)[1]!;
    app.observe([first], { kind: "ready" }, { restarts: 5 });
    runOn(app, app.limits.replaceResetMs);
    expect([phaseOf(app, first), phaseOf(app, second), rowOf(app, first).leaving]).toEqual(["running", "ended", null]);
    crash(app, first, app.limits.restartBudget - 1);
    expect(rowOf(app, first).leaving).toBeNull();
  });

  it("starts its budget anew after it ran ready for a minute, and not after less", () => {
    const { app, first } = deployed();
    for (let round = 0; round < 4; round += 1) {
      crash(app, first, app.limits.restartBudget - 1);
      app.observe([first], { kind: "ready" }, { restarts: rowOf(app, first).crashes });
      app.nowMs += app.limits.replaceResetMs;
    }
    expect(eventsOf(app, "instance.evacuating")).toEqual([]);
    app.observe(
      [first],
      { kind: "unready", failure: because("liveness_failed") },
      { restarts: rowOf(app, first).crashes },
    );
    crash(app, first, app.limits.restartBudget - 1);
    app.observe([first], { kind: "ready" }, { restarts: rowOf(app, first).crashes });
    app.nowMs += app.limits.replaceResetMs - 100;
    crash(app, first, 1);
    expect(eventsOf(app, "instance.evacuating").length).toBe(1);
  });

  it("counts restarts that no heartbeat showed, because the first one is at once", () => {
    const { app, first } = deployed();
    app.observe([first], { kind: "starting" }, { restarts: app.limits.restartBudget });
    app.observe([first], { kind: "backoff", failure: because("out_of_memory"), retryAtMs: 1 }, { restarts: 5 });
    expect(rowOf(app, first).leaving).toMatchObject({ cause: "crash_loop" });
  });

  it("moves ever more seldom when every node fails, with one instance more at most", () => {
    const { app } = deployed();
    const moves: number[] = [];
    let seen = 0;
    for (let minute = 0; minute < 240; minute += 1) {
      for (const id of app.of(1)) if (rowOf(app, id).phase.kind === "running") crash(app, id, 3);
      runOn(app, 60_000);
      expect(app.of(1).length).toBeLessThanOrEqual(2);
      const { size } = app.tables.slots;
      expect(size).toBe(1);
      const { generation } = [...app.tables.slots.values()][0]!;
      if (generation > seen) moves.push(minute);
      seen = generation;
    }
    const gaps = moves.slice(1).map((at, index) => at - moves[index]!);
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(10);
    expect(gaps[0]).toBeLessThanOrEqual(3);
  });
});

describe("an instance that cannot start where it is", () => {
  it.each([
    ["image_pull_failed", "pull_failed", 2],
    ["bundle_unavailable", "pull_failed", 2],
    ["disk_pressure", "disk_pressure", 1],
  ] as const)("%s: another node tries (%s, after %i)", (code, cause, times) => {
    const { app, first } = deployed();
    const node = nodeOf(app, first);
    app.tell({ kind: "node_gone", node, instances: [first] });
    app.grantAll();
    const second = app.of(1)[1]!;
    crash(app, second, times - 1, code);
    expect(rowOf(app, second).leaving ?? null).toBeNull();
    crash(app, second, 1, code);
    expect(eventsOf(app, "instance.evacuating").at(-1)).toMatchObject({ data: { cause } });
    runOn(app, app.limits.replaceBackoffMs);
    const third = app.of(1).at(-1)!;
    expect(rowOf(app, third)).toMatchObject({ generation: 3, phase: { kind: "running" } });
    expect(nodeOf(app, third)).not.toBe(nodeOf(app, second));
    expect(phaseOf(app, second)).toBe("ended");
  });

  it("within a rollout fails the rollout, but a full disk moves it", () => {
    const app = new BenchApp();
    value(app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(), privateImage: false } }));
    app.grantAll();
    const [first] = app.of(1) as [InstanceId];
    crash(app, first, 1, "disk_pressure");
    app.grantAll();
    const [second] = app.of(1) as [InstanceId];
    expect([rowOf(app, second).generation, app.phase()]).toEqual([2, "rolling"]);
    expect(nodeOf(app, second)).not.toBe(nodeOf(app, first));
    crash(app, second, app.limits.crashesMax, "image_pull_failed");
    expect(app.phase()).toBe("failed");
  });

  it("comes back to the only node there is when nobody else has room", () => {
    const { app, first } = deployed();
    app.observe([first], { kind: "failed", failure: because("start_failed") });
    app.grantAll();
    app.tick(app.limits.replaceBackoffMs);
    const avoids: (readonly string[] | undefined)[] = [];
    for (let calls = app.drain("call_cell"); calls.length > 0; calls = app.drain("call_cell")) {
      for (const { call, request } of calls) {
        if (request.kind !== "reserve") {
          app.take({
            kind: request.kind === "commit" ? "committed" : "updated",
            call,
            answer: { ok: true, value: null },
          });
          continue;
        }
        const [slot] = request.request.slots;
        avoids.push(slot!.avoid);
        const refusal = { nodesTotal: 1, constraints: [] };
        const full = slot!.avoid?.length;
        const placements = full ? [] : [placementOf(slot!)];
        const refused = full ? [{ instance: slot!.instance, refusal }] : [];
        app.take({ kind: "reserved", call, answer: { ok: true, value: { placements, refused } } });
      }
    }
    expect(avoids).toEqual([[nodeOf(app, first)], []]);
    expect(eventsOf(app, "placement.refused")).toEqual([]);
    expect(nodeOf(app, app.of(1)[0]!)).toBe(nodeOf(app, first));
  });
});

describe("an instance on a node whose agent is silent", () => {
  it("is replaced when it was reported dead there, and the others of the node serve on", () => {
    const app = new BenchApp();
    app.deploy({}, 2);
    const [dead, alive] = app.of(1) as [InstanceId, InstanceId];
    crash(app, dead, 1);
    app.tell({ kind: "node_gone", node: nodeOf(app, dead), instances: [dead] });
    app.grantAll();
    const fresh = app.of(1).find((id) => rowOf(app, id).generation === 2)!;
    app.observe([fresh], { kind: "ready" });
    app.grantAll();
    expect(phaseOf(app, dead)).toBe("ended");
    expect(routed(app).toSorted()).toEqual([alive, fresh].toSorted());
  });
});
