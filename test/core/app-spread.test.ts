// core/app: what must not share a rack or a node: what is said of it when room is asked for, and what is given back.
import { describe, expect, it } from "vitest";
import type { CellName } from "../../contracts/ids.ts";
import type { AppEffect, CellCall } from "../../core/app/types.ts";
import { BenchApp, CELL, as, placementOf, spec, summary, value } from "./bench-object.ts";

type Call = Extract<AppEffect, { kind: "call_cell" }>;

const release = (app: BenchApp, replicas: number, more: Record<string, unknown>) =>
  value(app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(more), replicas, privateImage: false } }));
const slotsOf = ({ request }: Call) => (request.kind === "reserve" ? request.request.slots : []);
const twoCells = () => new BenchApp({}, { cells: [summary(CELL), summary("lab.1" as CellName)] });
const removes = (calls: readonly { request: CellCall }[]) =>
  calls.flatMap(({ request }) => (request.kind === "update" ? request.request.remove : []));
function settle(app: BenchApp, calls: readonly Call[]): void {
  for (const { call, request } of calls) {
    app.take({ kind: request.kind === "commit" ? "committed" : "updated", call, answer: { ok: true, value: null } });
  }
}

describe("room that must not be shared", () => {
  it.each([
    ["failureDomains", true],
    ["nodes", true],
    ["nothing", false],
  ])("granted twice in one place, where %s must not be shared: gives back the second (%s)", (must, given) => {
    const app = twoCells();
    const placement = must === "nothing" ? {} : { [must]: "required" };
    release(app, 1, { placement });
    const [first] = app.drain("call_cell");
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 2 } }));
    const [second] = app.drain("call_cell").filter(({ call }) => call !== first!.call);
    const where = placementOf(slotsOf(first!)[0]!);
    for (const call of [first!, second!]) {
      const placements = slotsOf(call).map(({ instance, generation }) => ({ ...where, instance, generation }));
      app.take({ kind: "reserved", call: call.call, answer: { ok: true, value: { placements, refused: [] } } });
    }
    const refusedTwice = slotsOf(second!).map(({ instance }) => app.tables.instances.get(instance)!.phase.kind);
    expect(refusedTwice).toEqual([given ? "stopping" : "committing"]);
    if (!given) return;
    const calls = app.drain("call_cell");
    settle(
      app,
      calls.filter(({ request }) => request.kind === "commit"),
    );
    calls.push(...app.drain("call_cell"));
    expect(removes(calls)).toEqual(slotsOf(second!).map(({ instance }) => instance));
    const again = calls.filter(({ request }) => request.kind === "reserve").at(-1);
    expect(again?.request).toMatchObject({ request: { occupied: [{ node: where.node }], slots: [{ ordinal: 1 }] } });
  });

  it.each([
    ["required", ["rack-0", "rack-1"]],
    ["preferred", ["rack-1"]],
  ])("names a rack that an instance is to leave, or was lost in, only where none may be shared (%s)", (must, named) => {
    const app = new BenchApp();
    app.deploy({ placement: { failureDomains: must } }, 2);
    const [first] = app.of(1);
    const { node } = app.tables.instances.get(first!)!.placement!;
    const occupiedRacks = () => {
      value(app.take({ kind: "scale", input: { ...as(null), replicas: 3 } }));
      const calls = app
        .drain("call_cell")
        .flatMap(({ request }) => (request.kind === "reserve" ? [request.request] : []));
      const wide = calls.filter(({ slots }) => slots.some(({ ordinal }) => ordinal === 2));
      return wide.flatMap(({ occupied }) => occupied.map(({ failureDomain }) => failureDomain));
    };
    app.tell({ kind: "node_gone", node, instances: [first!] });
    expect(occupiedRacks()).toEqual(named);
  });
});
