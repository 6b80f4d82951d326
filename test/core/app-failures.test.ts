// core/app: lost nodes, crashed instances, lost messages and restarts of the object itself.
import { describe, expect, it } from "vitest";
import { unknownKinds } from "../../core/app/deliver.ts";
import type { ObservedStatus } from "../../contracts/agent-protocol.ts";
import type { InstanceFailure } from "../../contracts/failures.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import { eventsOf } from "./app-on-bench.ts";
import { BenchApp, CELL, as, spec, value } from "./bench-object.ts";

const failure: InstanceFailure = { code: "exited", message: "exit 1", exitCode: 1, signal: null, logTail: [] };
const release = (app: BenchApp) =>
  value(app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(), privateImage: false } }));
const phaseOf = (app: BenchApp, id: string) => app.tables.instances.get(id)!.phase.kind;

describe("a rollout that an instance failed", () => {
  it("names the node as people know it, for as long as the instance is remembered", () => {
    const app = new BenchApp();
    release(app);
    app.grantAll();
    const [id] = app.of(1) as [InstanceId];
    const { node, nodeName } = app.tables.instances.get(id)!.placement!;
    app.observe([id], { kind: "failed", failure });
    const [ended] = eventsOf(app, "rollout.failed");
    expect(ended?.data).toMatchObject({ rollout: { failure: { kind: "instance", node, nodeName } } });
    expect(nodeName).not.toBe(node);
  });
});

describe("an app whose node is lost", () => {
  const lost = () => {
    const app = new BenchApp();
    app.deploy({}, 2);
    const [first] = app.of(1);
    const { node } = app.tables.instances.get(first!)!.placement!;
    app.tell({ kind: "node_gone", node, instances: [first!] });
    app.grantAll();
    const replacement = app.of(1).find((id) => app.tables.instances.get(id)!.generation === 2)!;
    return { app, first: first!, node, replacement };
  };

  it("takes it out of the route at once and fills its slot with a higher generation", () => {
    const { app, replacement } = lost();
    const { state } = app.tables.route.get("route")!.route;
    expect(state).toMatchObject({ kind: "serving", releases: [{ weight: 100, endpoints: [{}] }] });
    expect(app.tables.instances.get(replacement)).toMatchObject({ generation: 2, ordinal: 0 });
  });

  it("stops the lost one for good once the replacement is ready", () => {
    const { app, first, replacement, node } = lost();
    app.observe([replacement], { kind: "ready" });
    expect(phaseOf(app, first)).toBe("stopping");
    app.tell({ kind: "node_back", node });
    expect(phaseOf(app, first)).toBe("stopping");
    app.grantAll();
    expect(phaseOf(app, first)).toBe("ended");
  });

  it("discards the replacement when the node is back before it is ready", () => {
    const { app, first, replacement, node } = lost();
    app.tell({ kind: "node_back", node });
    expect(phaseOf(app, first)).toBe("running");
    expect(phaseOf(app, replacement)).toBe("stopping");
    app.observe([first], { kind: "ready" });
    expect(app.tables.route.get("route")!.route.state).toMatchObject({ releases: [{ endpoints: [{}, {}] }] });
  });

  it("keeps the ready one of two that are back at once, and no other", () => {
    const { app, first, replacement, node } = lost();
    app.tell({ kind: "node_gone", node, instances: [replacement] });
    app.grantAll();
    const observed = (id: InstanceId, status: ObservedStatus) => {
      const { generation } = app.tables.instances.get(id)!;
      const seen = { instance: id, generation, app: app.app, status, restarts: 0, digest: null, sinceMs: 0 };
      return { kind: "observed" as const, node, observed: seen };
    };
    app.tell(
      { kind: "node_back", node },
      observed(first, { kind: "backoff", failure, retryAtMs: 0 }),
      observed(replacement, { kind: "ready" }),
    );
    const live = app
      .of(1)
      .filter((id) => phaseOf(app, id) === "running" && app.tables.instances.get(id)!.ordinal === 0);
    expect(live).toEqual([replacement]);
  });
});

describe("an app whose instance fails for good outside a rollout", () => {
  it("replaces it, more slowly each time, and at once again after it ran well", () => {
    const app = new BenchApp();
    app.deploy();
    const waits: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      app.observe(app.of(1), { kind: "failed", failure });
      app.grantAll();
      expect(app.of(1)).toEqual([]);
      const startedMs = app.nowMs;
      app.nowMs = app.wakeAtMs!;
      while (app.of(1).length === 0) {
        app.tick();
        if (app.of(1).length === 0) app.nowMs = app.wakeAtMs!;
      }
      waits.push(app.nowMs - startedMs);
      app.grantAll();
      app.observe(app.of(1), { kind: "ready" });
    }
    expect(waits).toEqual([1_000, 2_000, 4_000]);
    app.nowMs += app.limits.replaceResetMs;
    app.observe(app.of(1), { kind: "failed", failure });
    expect([...app.tables.slots.values()][0]).toMatchObject({ failures: 1 });
  });
});

describe("messages and calls", () => {
  it("takes each message once, in order, and waits for a missing one", () => {
    const app = new BenchApp();
    app.deploy();
    const [id] = app.of(1);
    const { node } = app.tables.instances.get(id!)!.placement!;
    const inSeq = app.tables.cells.get(CELL)!.inSeq;
    const gone = { kind: "node_gone" as const, seq: inSeq + 2, node, instances: [id!] };
    expect(app.take({ kind: "deliver", input: { cell: CELL, messages: [gone] } }).ackSeq).toBe(inSeq);
    expect(app.tables.instances.get(id!)!.nodeGone).toBe(false);
    const back = { kind: "node_back" as const, seq: inSeq + 1, node };
    expect(app.take({ kind: "deliver", input: { cell: CELL, messages: [back, gone] } }).ackSeq).toBe(inSeq + 2);
    expect(app.take({ kind: "deliver", input: { cell: CELL, messages: [back] } }).ackSeq).toBe(inSeq + 2);
    expect(app.tables.instances.get(id!)!.nodeGone).toBe(true);
  });

  it("acknowledges a kind that only newer Cells know, and takes what comes after it", () => {
    const app = new BenchApp();
    app.deploy();
    const [id] = app.of(1);
    const { node } = app.tables.instances.get(id!)!.placement!;
    const seq = app.tables.cells.get(CELL)!.inSeq + 1;
    const unheardOf = { kind: "node_renamed", seq, node } as never;
    const before = structuredClone(app.tables.instances.get(id!));
    expect(app.take({ kind: "deliver", input: { cell: CELL, messages: [unheardOf] } }).ackSeq).toBe(seq);
    expect(app.tables.instances.get(id!)).toEqual(before);
    const gone = { kind: "node_gone" as const, seq: seq + 2, node, instances: [id!] };
    const another = { kind: "toString", seq: seq + 1 } as never;
    expect(unknownKinds([unheardOf, another, gone])).toEqual(["node_renamed", "toString"]);
    expect(app.take({ kind: "deliver", input: { cell: CELL, messages: [another, gone] } }).ackSeq).toBe(seq + 2);
    expect(app.tables.instances.get(id!)!.nodeGone).toBe(true);
  });

  it("repeats an unanswered call with the same key and body, more seldom each time", () => {
    const app = new BenchApp();
    release(app);
    const [first] = app.drain("call_cell");
    app.tick(app.limits.callRetryMs - 1);
    expect(app.drain("call_cell")).toEqual([]);
    app.tick(1);
    expect(app.drain("call_cell")).toEqual([first]);
    app.tick(app.limits.callRetryMs);
    expect(app.drain("call_cell")).toEqual([]);
  });

  it("sends everything that is open again after a restart, and nothing that was answered", () => {
    const app = new BenchApp();
    release(app);
    const [before] = app.drain("call_cell");
    app.restart();
    app.tick();
    expect(app.drain("call_cell")).toEqual([before]);
    app.restart();
    app.take({ kind: "poke", input: {} });
    app.grantAll();
    app.restart();
    app.tick();
    expect(app.drain("call_cell")).toEqual([]);
  });

  it("asks for verification again after a restart or an unanswered round", () => {
    const app = new BenchApp();
    release(app);
    app.grantAll();
    app.observe(app.of(1), { kind: "ready" });
    expect(app.drain("verify").length).toBe(1);
    app.restart();
    app.tick();
    expect(app.drain("verify").length).toBe(1);
    app.tick(app.limits.verifyTimeoutMs);
    expect(app.drain("verify").length).toBe(1);
  });

  it("lets a refused commit's instances give way to new ones, and gives their room back", () => {
    const app = new BenchApp();
    release(app);
    const old = app.of(1);
    const [reserve] = app.drain("call_cell");
    if (reserve?.request.kind !== "reserve") throw new Error("no reserve");
    const slot = reserve.request.request.slots[0]!;
    const placement = { ...slot, node: app.app as never, nodeName: "n", failureDomain: "f", gatewayUrl: "http://n" };
    app.take({
      kind: "reserved",
      call: reserve.call,
      answer: { ok: true, value: { placements: [placement], refused: [] } },
    });
    const [commit] = app.drain("call_cell");
    const answer = { ok: false as const, failure: { code: "conflict" as const, message: "expired" } };
    app.take({ kind: "committed", call: commit!.call, answer });
    expect(app.of(1).length).toBe(1);
    expect(app.of(1)).not.toEqual(old);
    const calls = app.drain("call_cell").map(({ request }) => request);
    expect(calls.map((request) => request.kind).sort()).toEqual(["reserve", "update"]);
    expect(calls.find((request) => request.kind === "update")?.request).toMatchObject({ remove: old });
  });

  it("hands events to the outbox in batches, and again from what was acknowledged", () => {
    const app = new BenchApp({ outboxBatchMax: 3 });
    app.deploy({}, 3);
    app.tick(app.limits.outboxDelayMs);
    const [first] = app.drain("drain_outbox");
    expect(first!.events.map((event) => event.seq)).toEqual([1, 2, 3]);
    app.take({ kind: "outbox_failed", message: "down" });
    app.tick(app.limits.outboxRetryMs);
    expect(app.drain("drain_outbox")[0]?.events[0]?.seq).toBe(1);
    app.take({ kind: "outbox_acked", lastSeq: 3 });
    expect(app.drain("drain_outbox")[0]?.events.map((event) => event.seq)).toEqual([4, 5, 6]);
    const events = value(app.take({ kind: "listEvents", input: { afterSeq: 2, limit: 2 } }));
    expect(events.items.map((event) => event.seq)).toEqual([3, 4]);
  });

  it("writes the route to KV at once, then at most once a second, always the newest in the end", () => {
    const app = new BenchApp();
    app.deploy({}, 3);
    const [first] = app.drain("publish_route");
    expect(first?.route.version).toBe(1);
    app.take({ kind: "route_written", version: 1 });
    app.observe(app.of(1).slice(0, 1), { kind: "unready", failure });
    app.observe(app.of(1).slice(0, 1), { kind: "ready" });
    expect(app.drain("publish_route")).toEqual([]);
    app.tick(app.limits.kvWriteIntervalMs);
    expect(app.drain("publish_route")[0]?.route.version).toBe(app.tables.route.get("route")!.route.version);
  });

  it("answers questions without writing rows or losing its alarm", () => {
    const app = new BenchApp();
    release(app);
    const { wakeAtMs } = app;
    for (const kind of ["read", "route", "listInstances"] as const) {
      app.take({ kind, input: {} });
      expect(app.rowsWritten).toBe(0);
      expect(app.wakeAtMs).toBe(wakeAtMs);
    }
  });
});
