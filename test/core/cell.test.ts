// core/cell: enrolment and proofs, the capacity ledger, documents and their revisions.
import { describe, expect, it } from "vitest";
import type { DesiredInstance } from "../../contracts/desired.ts";
import { DesiredDocument } from "../../contracts/desired.ts";
import { BerthEvent } from "../../contracts/events.ts";
import { Node } from "../../contracts/api.ts";
import { HeartbeatResponse } from "../../contracts/agent-protocol.ts";
import type { AppId, InstanceId, ReleaseId, TeamId } from "../../contracts/ids.ts";
import { documentOf } from "../../core/cell/document.ts";
import type { NodeProof } from "../../core/messages.ts";
import { BenchCell, idFor, insId, nodeId, spec, value } from "./bench-object.ts";

const APP = idFor<AppId>("app", 1);
const resources = (cpuMilli: number) => ({ ...spec().resources, cpuMilli });
const desired = (n: number, cpuMilli = 400): DesiredInstance => ({
  instance: insId(n),
  generation: 1,
  app: APP,
  appName: "web",
  team: idFor<TeamId>("team", 1),
  release: idFor<ReleaseId>("rel", 1),
  version: 1,
  ordinal: n,
  intent: "run",
  source: { kind: "image", reference: "a:1", digest: null },
  port: 8080,
  resources: resources(cpuMilli),
  probes: spec().probes,
  stopGraceMs: 1_000,
  readOnlyRoot: false,
  hasEnvironment: false,
  privateImage: false,
  hostPorts: [],
  singleton: null,
});
const reserve = (cell: BenchCell, key: string, ns: number[], cpuMilli = 400) =>
  value(
    cell.take({
      kind: "reserve",
      input: {
        key,
        app: APP,
        leaseMs: 30_000,
        occupied: [],
        slots: ns.map((n) => ({
          instance: insId(n),
          generation: 1,
          ordinal: n,
          resources: resources(cpuMilli),
          runtimes: ["docker"],
        })),
      },
    }),
  );
const commit = (cell: BenchCell, seq: number, ns: number[], routeVersion = 1) =>
  cell.take({
    kind: "commit",
    input: { key: `c${seq}`, app: APP, seq, instances: ns.map((n) => desired(n)), routeVersion },
  });
const update = (
  cell: BenchCell,
  seq: number,
  more: { drain?: InstanceId[]; remove?: InstanceId[]; routeVersion?: number },
) =>
  cell.take({
    kind: "update",
    input: { key: `u${seq}`, app: APP, seq, drain: [], remove: [], routeVersion: 1, watch: false, ...more },
  });
const cellWith = (...cpus: number[]): BenchCell => {
  const cell = new BenchCell();
  cpus.forEach((cpuMilli, n) => {
    value(cell.enrol(n, { cpuMilli }));
    value(cell.beat(n));
  });
  return cell;
};
const observed = (n: number, kind: "starting" | "ready" | "stopped") => ({
  instance: insId(n),
  generation: 1,
  app: APP,
  status: kind === "stopped" ? { kind, exitCode: 0 } : { kind },
  restarts: 0,
  digest: null,
  sinceMs: 0,
});

describe("a cell's nodes", () => {
  it("enrols a node once, answers a repetition the same, and refuses its name under another key", () => {
    const cell = new BenchCell();
    expect(value(cell.enrol(1))).toEqual({ revision: 1, leaseTtlMs: 8_000 });
    expect(value(cell.enrol(1)).revision).toBe(1);
    expect(cell.enrol(1, { jkt: "other" })).toMatchObject({ failure: { code: "conflict" } });
    expect(HeartbeatResponse.parse(value(cell.beat(1)))).toMatchObject({ revision: 1, nowMs: cell.nowMs });
    expect(Node.parse(value(cell.take({ kind: "readNode", input: { node: nodeId(1) } }))).phase).toBe("ready");
    for (const event of cell.tables.events.values()) BerthEvent.parse(event);
  });

  it("takes at most its limit of nodes", () => {
    const cell = new BenchCell({ nodesPerCellMax: 2 });
    value(cell.enrol(1));
    value(cell.enrol(2));
    expect(cell.enrol(3)).toMatchObject({ failure: { code: "no_capacity" } });
  });

  it.each([
    ["a replayed heartbeat", { seq: 1 }, "proof_replayed"],
    ["an older boot", { boot: "boot-0" }, "proof_replayed"],
    ["another key", { jkt: "other" }, "credential_invalid"],
    ["a node it does not know", { node: nodeId(9) }, "credential_invalid"],
  ])("refuses %s", (_name, proof, code) => {
    const cell = new BenchCell();
    value(cell.enrol(1));
    value(cell.beat(1, {}, { boot: "boot-0" }));
    value(cell.beat(1));
    value(cell.beat(1));
    expect(cell.beat(1, {}, proof)).toMatchObject({ failure: { code } });
  });

  it("lets asks overtake each other but not repeat, and starts lanes anew with a new boot", () => {
    const cell = cellWith(1_000);
    const ask = (seq: number, boot = "boot-1") => {
      const proof: NodeProof = { node: nodeId(0), jkt: "jkt", boot, lane: "ask", seq };
      return cell.take({ kind: "admit", input: proof }).ok;
    };
    expect([ask(3), ask(1), ask(2), ask(2), ask(3)]).toEqual([true, true, true, false, false]);
    expect([ask(200), ask(136), ask(137)]).toEqual([true, false, true]);
    expect([ask(1, "boot-2"), ask(4, "boot-1")]).toEqual([true, false]);
  });

  it("fails a revoked node at once, closes its sockets and tells the apps on it", () => {
    const cell = cellWith(1_000);
    reserve(cell, "k", [1]);
    value(commit(cell, 1, [1]));
    cell.effects = [];
    value(cell.take({ kind: "revoke", input: { node: nodeId(0), actor: "user:op" } }));
    expect(cell.beat(0)).toMatchObject({ failure: { code: "node_revoked" } });
    expect(cell.drain("close_node").length).toBe(1);
    expect(cell.drain("deliver_messages")[0]?.messages[0]).toMatchObject({ kind: "node_gone", instances: [insId(1)] });
    expect(documentOf(cell.tables, nodeId(0))?.instances).toEqual([]);
  });
});

describe("the capacity ledger", () => {
  it("counts reservations in flight, refuses what is left over, and says how much was missing", () => {
    const cell = cellWith(1_000);
    expect(reserve(cell, "k1", [1, 2]).placements.length).toBe(2);
    const answer = reserve(cell, "k2", [3]);
    expect(answer.refused[0]?.refusal).toEqual({
      nodesTotal: 1,
      constraints: [{ constraint: "cpu", nodesExcluded: 1, requested: 400, missing: 200 }],
    });
  });

  it("gives the same key the same answer and holds nothing twice", () => {
    const cell = cellWith(1_000);
    const first = reserve(cell, "k1", [1, 2]);
    expect(reserve(cell, "k1", [1, 2])).toEqual(first);
    expect(cell.tables.reservations.size).toBe(2);
  });

  it("lets go of what nobody commits, and refuses a commit that comes too late", () => {
    const cell = cellWith(1_000);
    reserve(cell, "k1", [1, 2]);
    cell.tick(30_000);
    expect(cell.tables.reservations.size).toBe(0);
    expect(cell.tables.answers.size).toBe(0);
    expect(commit(cell, 1, [1])).toMatchObject({ failure: { code: "conflict" } });
    expect(commit(cell, 1, [1])).toMatchObject({ failure: { code: "conflict" } });
  });

  it("commits all or nothing", () => {
    const cell = cellWith(1_000);
    reserve(cell, "k1", [1]);
    expect(commit(cell, 1, [1, 2]).ok).toBe(false);
    expect(cell.tables.instances.size).toBe(0);
    value(commit(cell, 2, [1]));
    expect(cell.tables.instances.size).toBe(1);
  });

  it("holds the room of what was removed until the node has the document and says that it stopped", () => {
    const cell = cellWith(500);
    reserve(cell, "k1", [1]);
    value(commit(cell, 1, [1]));
    const revision = cell.tables.nodes.get(nodeId(0))!.revision;
    value(update(cell, 2, { remove: [insId(1)] }));
    const full = () => reserve(cell, `try-${cell.nowMs}`, [9]).placements.length === 0;
    expect(full()).toBe(true);
    cell.nowMs += 1;
    value(cell.beat(0, { ackRevision: revision, observed: [] }));
    expect(full()).toBe(true);
    cell.nowMs += 1;
    value(cell.beat(0, { ackRevision: revision + 1, observed: [observed(1, "ready")] }));
    expect(full()).toBe(true);
    cell.nowMs += 1;
    value(cell.beat(0, { ackRevision: revision + 1, observed: [observed(1, "stopped")] }));
    expect(full()).toBe(false);
  });

  it("gives back a reservation that is removed before it was committed", () => {
    const cell = cellWith(500);
    reserve(cell, "k1", [1]);
    value(update(cell, 1, { remove: [insId(1)] }));
    expect(reserve(cell, "k2", [2]).placements.length).toBe(1);
  });
});

describe("desired documents", () => {
  it("are complete, bump each touched node once, and wake it with the whole document", () => {
    const cell = cellWith(1_000, 1_000);
    reserve(cell, "k1", [1, 2, 3]);
    cell.effects = [];
    value(commit(cell, 1, [1, 2, 3], 7));
    const wakes = cell.drain("wake_node");
    expect(wakes.length).toBe(2);
    for (const wake of wakes) {
      expect(wake.revision).toBe(2);
      const document = documentOf(cell.tables, wake.node, cell.volatile);
      expect(DesiredDocument.parse(document)).toEqual(documentOf(cell.tables, wake.node));
      expect(document).toMatchObject({ revision: 2, routes: { [APP]: 7 } });
    }
    expect(wakes.flatMap((wake) => documentOf(cell.tables, wake.node)!.instances).length).toBe(3);
  });

  it("change once for a repeated or overtaken call", () => {
    const cell = cellWith(1_000);
    reserve(cell, "k1", [1]);
    value(commit(cell, 1, [1]));
    value(update(cell, 2, { drain: [insId(1)], routeVersion: 2 }));
    const before = documentOf(cell.tables, nodeId(0))!;
    expect(before.instances[0]?.intent).toBe("drain");
    value(update(cell, 2, { drain: [insId(1)], routeVersion: 2 }));
    value(commit(cell, 1, [1]));
    expect(documentOf(cell.tables, nodeId(0))).toEqual(before);
    expect(cell.rowsWritten).toBe(0);
  });

  it("keep to their own app: another app cannot remove or drain an instance", () => {
    const cell = cellWith(1_000);
    reserve(cell, "k1", [1]);
    value(commit(cell, 1, [1]));
    const other = idFor<AppId>("app", 2);
    const input = {
      key: "x",
      app: other,
      seq: 1,
      drain: [insId(1)],
      remove: [insId(1)],
      routeVersion: 1,
      watch: false,
    };
    value(cell.take({ kind: "update", input }));
    expect(documentOf(cell.tables, nodeId(0))?.instances[0]?.intent).toBe("run");
  });

  it("are not written for a route version that is not newer", () => {
    const cell = cellWith(1_000);
    reserve(cell, "k1", [1]);
    value(commit(cell, 1, [1], 5));
    value(update(cell, 2, { routeVersion: 4 }));
    expect(documentOf(cell.tables, nodeId(0))).toMatchObject({ revision: 2, routes: { [APP]: 5 } });
  });
});
