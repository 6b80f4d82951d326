// core/cell: silence and second opinions, what apps are told, metering, and what a beat costs.
import { describe, expect, it } from "vitest";
import type { AppId, ReleaseId, TeamId } from "../../contracts/ids.ts";
import { BenchCell, idFor, insId, nodeId, spec, value } from "./bench-object.ts";
import { told } from "./cell-bench.ts";

const APP = idFor<AppId>("app", 1);
const BEAT_MS = 2_000;

function placed(cell: BenchCell, n: number, app = APP): void {
  const { resources, probes } = spec({ resources: { cpuMilli: 10 } });
  const id = insId(n);
  const slot = { instance: id, generation: 1, ordinal: n, resources, runtimes: ["docker" as const] };
  value(cell.take({ kind: "reserve", input: { key: `k${n}`, app, leaseMs: 9_000, occupied: [], slots: [slot] } }));
  const instance = {
    instance: id,
    generation: 1,
    app,
    appName: "web",
    team: idFor<TeamId>("team", 1),
    release: idFor<ReleaseId>("rel", 1),
    version: 1,
    ordinal: n,
    intent: "run" as const,
    source: { kind: "image" as const, reference: "a:1", digest: null },
    port: 8080,
    resources,
    probes,
    stopGraceMs: 1_000,
    readOnlyRoot: false,
    hasEnvironment: false,
    privateImage: false,
    hostPorts: [],
    singleton: null,
  };
  const seq = (cell.tables.apps.get(app)?.inSeq ?? 0) + 1;
  value(cell.take({ kind: "commit", input: { key: `c${n}`, app, seq, instances: [instance], routeVersion: 1 } }));
}
const seen = (n: number, status: Record<string, unknown>, app = APP) => ({
  instance: insId(n),
  generation: 1,
  app,
  status,
  restarts: 0,
  digest: null,
  sinceMs: 0,
});
const withNodes = (count: number, limits = {}): BenchCell => {
  const cell = new BenchCell(limits);
  for (let n = 0; n < count; n += 1) {
    value(cell.enrol(n));
    value(cell.beat(n));
  }
  return cell;
};
const phases = (cell: BenchCell): string[] =>
  value(cell.take({ kind: "listNodes", input: {} })).items.map((node) => node.phase);
const acknowledge = (cell: BenchCell): void => {
  for (const { app, messages } of cell.drain("deliver_messages")) {
    cell.take({ kind: "delivered", app, ackSeq: messages.at(-1)?.seq ?? 0 });
  }
};

describe("a new node", () => {
  it("is ready, and takes placements, once its gateway is there", () => {
    const cell = new BenchCell();
    value(cell.enrol(0));
    value(cell.beat(0, { gatewayReady: false }));
    expect(phases(cell)).toEqual(["enrolled"]);
    value(cell.beat(0));
    expect(phases(cell)).toEqual(["ready"]);
    // Later it is its gateway that is away, not the node.
    value(cell.beat(0, { gatewayReady: false }));
    expect(phases(cell)).toEqual(["ready"]);
    expect(value(cell.take({ kind: "summary", input: {} })).readyNodes).toBe(0);
  });
});

describe("a silent node", () => {
  it("is suspect at 5 s, asked twice through its gateway, lost at 8 s, and its apps are told", () => {
    const cell = withNodes(1);
    placed(cell, 1);
    expect(cell.wakeAtMs).toBeLessThanOrEqual(cell.nowMs + cell.limits.suspectMs);
    for (let step = 0; step < 9; step += 1) cell.tick(500);
    cell.tick(499);
    expect(phases(cell)).toEqual(["ready"]);
    cell.tick(1);
    expect(phases(cell)).toEqual(["suspect"]);
    expect(told(cell)).toMatchObject([{ kind: "node_suspect", node: nodeId(0), instances: [insId(1)] }]);
    expect(cell.drain("probe_gateway").length).toBe(1);
    cell.take({ kind: "gateway_probed", node: nodeId(0), answered: false });
    cell.tick(750);
    cell.tick(750);
    expect(cell.drain("probe_gateway").length).toBe(1);
    cell.take({ kind: "gateway_probed", node: nodeId(0), answered: false });
    expect(phases(cell)).toEqual(["suspect"]);
    cell.tick(750);
    cell.tick(750);
    expect(phases(cell)).toEqual(["lost"]);
    expect(told(cell)).toMatchObject([{ kind: "node_gone", instances: [insId(1)] }]);
  });

  it("is unreachable, not lost, when its gateway answers; it keeps its instances and takes no new ones", () => {
    const cell = withNodes(1);
    placed(cell, 1);
    cell.tick(5_000);
    cell.take({ kind: "gateway_probed", node: nodeId(0), answered: true });
    for (let second = 0; second < 60; second += 1) {
      cell.tick(1_000);
      for (const { node } of cell.drain("probe_gateway")) cell.take({ kind: "gateway_probed", node, answered: true });
    }
    expect(phases(cell)).toEqual(["unreachable"]);
    expect(told(cell).map(({ kind }) => kind)).toEqual(["node_suspect", "node_cleared"]);
    expect(value(cell.take({ kind: "summary", input: {} })).readyNodes).toBe(0);
  });

  it("that comes back after it was lost tells its apps, then all it runs again", () => {
    const cell = withNodes(1);
    placed(cell, 1);
    value(cell.beat(0, { observed: [seen(1, { kind: "ready" })] }));
    acknowledge(cell);
    for (let second = 0; second < 12; second += 1) cell.tick(1_000);
    expect(phases(cell)).toEqual(["lost"]);
    told(cell);
    value(cell.beat(0, { observed: [seen(1, { kind: "ready" })] }));
    expect(phases(cell)).toEqual(["ready"]);
    expect(told(cell).map(({ kind }) => kind)).toEqual(["node_back", "observed"]);
  });

  it("gets a fresh window after a restart of the cell, and when the cell's own alarm was late", () => {
    const restarted = withNodes(1);
    restarted.nowMs += 60_000;
    restarted.restart();
    restarted.tick();
    expect(phases(restarted)).toEqual(["ready"]);
    const late = withNodes(1);
    late.tick(60_000);
    expect(phases(late)).toEqual(["ready"]);
    for (let second = 0; second < 12; second += 1) late.tick(1_000);
    expect(phases(late)).toEqual(["lost"]);
  });

  it("is not given up when many fall silent at once while gateways answer: it is us", () => {
    const cell = withNodes(6);
    for (let second = 0; second < 30; second += 1) {
      cell.tick(1_000);
      for (const { node } of cell.drain("probe_gateway")) {
        cell.take({ kind: "gateway_probed", node, answered: node === nodeId(0) });
      }
    }
    expect(new Set(phases(cell))).toEqual(new Set(["unreachable", "suspect"]));
  });
});

describe("what apps are told", () => {
  it("is each change once, and nothing while nothing changes", () => {
    const cell = withNodes(1);
    placed(cell, 1);
    value(cell.beat(0, { observed: [seen(1, { kind: "starting" })] }));
    expect(cell.drain("deliver_messages")[0]?.messages).toMatchObject([{ seq: 1, kind: "observed" }]);
    cell.take({ kind: "delivered", app: APP, ackSeq: 1 });
    expect(cell.tables.messages.size).toBe(0);
    value(cell.beat(0, { observed: [seen(1, { kind: "starting" })] }));
    expect(cell.rowsWritten).toBe(0);
    expect(cell.drain("deliver_messages")).toEqual([]);
  });

  it("skips small steps of a pull, foreign nodes and older generations", () => {
    const cell = withNodes(2);
    placed(cell, 1);
    const home = cell.tables.instances.get(insId(1))!.node === nodeId(0) ? 0 : 1;
    const pulling = (doneBytes: number) => [seen(1, { kind: "pulling", doneBytes, totalBytes: 100 })];
    const told = () => cell.tables.apps.get(APP)!.outSeq;
    value(cell.beat(home, { observed: pulling(0) }));
    value(cell.beat(home, { observed: pulling(9) }));
    expect(told()).toBe(1);
    value(cell.beat(home, { observed: pulling(10) }));
    expect(told()).toBe(2);
    value(cell.beat(1 - home, { observed: [seen(1, { kind: "ready" })] }));
    value(cell.beat(home, { observed: [{ ...seen(1, { kind: "ready" }), generation: 2 }] }));
    expect(told()).toBe(2);
  });

  it("is repeated in the same order until acknowledged, one batch at a time, also after a restart", () => {
    const cell = withNodes(1, { messageBatchMax: 2 });
    for (const n of [1, 2, 3]) placed(cell, n);
    value(cell.beat(0, { observed: [1, 2, 3].map((n) => seen(n, { kind: "ready" })) }));
    const seqs = () => cell.drain("deliver_messages").map(({ messages }) => messages.map((message) => message.seq));
    expect(seqs()).toEqual([[1, 2]]);
    cell.tick(500);
    expect(seqs()).toEqual([]);
    cell.tick(500);
    expect(seqs()).toEqual([[1, 2]]);
    cell.restart();
    cell.tick();
    expect(seqs()).toEqual([[1, 2]]);
    cell.take({ kind: "delivered", app: APP, ackSeq: 2 });
    expect(seqs()).toEqual([[3]]);
  });

  it("is the present state, once, where too many messages were waiting", () => {
    const cell = withNodes(1, { messagesPendingMax: 2 });
    placed(cell, 1);
    for (const kind of ["pending", "starting", "ready", "stopping", "ready"])
      value(cell.beat(0, { observed: [seen(1, { kind })] }));
    expect(cell.tables.messages.size).toBe(2);
    cell.drain("deliver_messages");
    cell.take({ kind: "delivered", app: APP, ackSeq: 2 });
    const messages = [...cell.tables.messages.values()];
    expect(messages.map((message) => message.kind)).toEqual(["node_back", "stay", "observed"]);
    expect(messages.at(-1)).toMatchObject({ seq: 5, observed: { status: { kind: "ready" } } });
  });
});

describe("metering", () => {
  it("makes one event per row however often it is repeated, and acknowledges it", () => {
    const cell = withNodes(1);
    const row = (seq: number) => ({ seq, fromMs: seq, toMs: seq + 1, instances: [] });
    expect(value(cell.beat(0, { metering: [row(1)] })).meteringAck).toBe(1);
    expect(value(cell.beat(0, { metering: [row(1), row(2)] })).meteringAck).toBe(2);
    cell.restart();
    expect(value(cell.beat(0, { metering: [row(2)] })).meteringAck).toBe(2);
    const metered = [...cell.tables.events.values()].filter((event) => event.type === "node.metered");
    expect(metered.map((event) => event.data.seq)).toEqual([1, 2]);
  });

  it("leaves the cell's rows when Postgres has them", () => {
    const cell = withNodes(1);
    cell.tick(cell.limits.cellOutboxDelayMs);
    const [batch] = cell.drain("drain_outbox");
    cell.take({ kind: "outbox_acked", lastSeq: batch!.events.length });
    expect(cell.tables.events.size).toBe(0);
    expect(cell.drain("drain_outbox")).toEqual([]);
  });
});

describe("a heartbeat of a full cell", () => {
  it("writes no row, sends nothing, and takes well under a millisecond", () => {
    const cell = withNodes(64, { summaryIntervalMs: 1e9 });
    for (let n = 1; n <= 1_280; n += 1) placed(cell, n);
    const observed = Array.from({ length: 64 }, (_, node) =>
      [...cell.tables.instances.values()]
        .filter((row) => row.node === nodeId(node))
        .map((row) => ({ ...seen(row.desired.ordinal, { kind: "ready" }) })),
    );
    for (let node = 0; node < 64; node += 1) value(cell.beat(node, { observed: observed[node] }));
    acknowledge(cell);
    cell.take({ kind: "outbox_acked", lastSeq: 1e9 });
    cell.tick(cell.limits.urgentSummaryMs);
    cell.effects = [];
    const startedMs = performance.now();
    for (let round = 0; round < 5; round += 1) {
      cell.nowMs += BEAT_MS / 4;
      for (let node = 0; node < 64; node += 1) {
        value(cell.beat(node, { observed: observed[node] }));
        expect(cell.rowsWritten).toBe(0);
      }
    }
    const perBeatMs = (performance.now() - startedMs) / 320;
    expect(
      cell.effects.filter((effect) => effect.kind !== "drain_outbox" && effect.kind !== "deliver_messages"),
    ).toEqual([]);
    expect(perBeatMs).toBeLessThan(2);
  });
});

describe("the Region", () => {
  it("hears of nodes that come together in two reports: of the first at once, of all a moment later", () => {
    const cell = new BenchCell({ summaryIntervalMs: 1e9 });
    for (let n = 0; n < 20; n += 1) {
      cell.enrol(n);
      cell.beat(n);
      cell.nowMs += 5;
    }
    expect(cell.drain("report_summary").map(({ summary }) => summary.nodes)).toEqual([1]);
    expect(cell.wakeAtMs).not.toBeNull();
    cell.tick(cell.wakeAtMs! - cell.nowMs);
    expect(cell.drain("report_summary").map(({ summary }) => summary.readyNodes)).toEqual([20]);
    cell.tick(1_000);
    expect(cell.drain("report_summary")).toEqual([]);
  });
});
