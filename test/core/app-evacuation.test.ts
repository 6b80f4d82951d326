// core/app: instances that an operator's drain or rebalance asks to leave their node, start-first; and what holds them.
import { describe, expect, it } from "vitest";
import type { InstanceId } from "../../contracts/ids.ts";
import type { Refusal } from "../../contracts/failures.ts";
import type { CellCall } from "../../core/app/types.ts";
import { answerAll, deployed, eventsOf, nodeOf, phaseOf, readyOf, routed, rowOf } from "./app-on-bench.ts";
import { BenchApp, CELL, as, insId, spec, value } from "./bench-object.ts";

const REFUSAL: Refusal = {
  nodesTotal: 3,
  constraints: [{ constraint: "memory", nodesExcluded: 2, requested: 256 * 2 ** 20, missing: 128 * 2 ** 20 }],
};
const heldIn = (calls: CellCall[]) =>
  calls.flatMap((call) => (call.kind === "update" ? (call.request.held ?? []) : []));

describe("an instance that is asked to leave its node", () => {
  it("serves on until a replacement elsewhere is ready, then drains its full time", () => {
    const { app, first, node, evacuate, heir } = deployed();
    evacuate();
    expect(eventsOf(app, "instance.evacuating").at(-1)).toMatchObject({
      subject: first,
      data: { cause: "drain", node },
    });
    const [reserve] = app.effects.filter((effect) => effect.kind === "call_cell");
    expect(reserve?.request).toMatchObject({ request: { slots: [{ ordinal: 0, generation: 2, avoid: [node] }] } });
    app.grantAll();
    expect(nodeOf(app, heir())).not.toBe(node);
    expect([phaseOf(app, first), readyOf(app), routed(app).includes(first)]).toEqual(["running", 2, true]);
    app.observe([heir()], { kind: "ready" });
    expect([phaseOf(app, first), readyOf(app)]).toEqual(["draining", 2]);
    expect(routed(app).toSorted()).toEqual(
      app
        .of(1)
        .filter((id) => id !== first)
        .toSorted(),
    );
    app.tick(app.limits.drainMs - 1);
    expect(phaseOf(app, first)).toBe("draining");
    app.tick(1);
    app.grantAll();
    expect(phaseOf(app, first)).toBe("ended");
  });

  it("never leaves fewer ready, nor two of one slot in the route, while five leave at once", () => {
    const app = new BenchApp();
    app.deploy({}, 5);
    for (const id of app.of(1)) {
      app.tell({ kind: "evacuate", node: nodeOf(app, id), instances: [id], reason: "rebalance" });
    }
    app.grantAll();
    for (const id of app.of(1).filter((each) => rowOf(app, each).generation === 2)) {
      app.observe([id], { kind: "ready" });
      expect(readyOf(app)).toBe(5);
      expect(new Set(routed(app).map((each) => rowOf(app, each as InstanceId).ordinal)).size).toBe(5);
      expect(routed(app).length).toBe(5);
    }
  });

  it("is asked once, however often the Cell repeats it", () => {
    const { app, evacuate } = deployed();
    evacuate();
    app.grantAll();
    const instances = app.tables.instances.size;
    evacuate();
    expect(app.tables.instances.size).toBe(instances);
    expect(eventsOf(app, "instance.evacuating").length).toBe(1);
  });

  it("gives its place at once to a replacement that is placed, if it never served", () => {
    const app = new BenchApp();
    value(app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(), privateImage: false } }));
    app.grantAll();
    const [first] = app.of(1) as [InstanceId];
    app.tell({ kind: "evacuate", node: nodeOf(app, first), instances: [first], reason: "drain" });
    expect(phaseOf(app, first)).toBe("running");
    app.grantAll();
    expect(phaseOf(app, first)).toBe("ended");
    app.observe(app.of(1), { kind: "ready" });
    app.answerVerify();
    expect(app.phase()).toBe("completed");
  });

  it("goes on to a third node when its replacement's node is drained too", () => {
    const { app, first, evacuate, heir } = deployed();
    evacuate();
    app.grantAll();
    const second = heir();
    app.tell({ kind: "evacuate", node: nodeOf(app, second), instances: [second], reason: "drain" });
    app.grantAll();
    const third = app.of(1).find((id) => rowOf(app, id).generation === 3)!;
    expect(new Set([nodeOf(app, first), nodeOf(app, second), nodeOf(app, third)]).size).toBe(3);
    expect(phaseOf(app, first)).toBe("running");
    app.observe([third], { kind: "ready" });
    expect(phaseOf(app, first)).toBe("draining");
    expect(new Set(app.of(1).map((id) => rowOf(app, id).generation))).toEqual(new Set([1, 3]));
  });

  it("is replaced like any other when its node is lost on the way", () => {
    const { app, first, node, evacuate, heir } = deployed();
    evacuate();
    app.grantAll();
    app.tell({ kind: "node_gone", node, instances: [first] });
    expect(routed(app)).not.toContain(first);
    app.observe([heir()], { kind: "ready" });
    app.grantAll();
    expect(phaseOf(app, first)).toBe("ended");
    expect(readyOf(app)).toBe(2);
  });
});

describe("a drain that is called off", () => {
  it("lets the instance stay, and its replacement that is not ready yet goes", () => {
    const { app, first, node, evacuate, heir } = deployed();
    evacuate();
    app.grantAll();
    const second = heir();
    app.tell({ kind: "stay", node });
    app.grantAll();
    expect([phaseOf(app, first), phaseOf(app, second), rowOf(app, first).leaving]).toEqual(["running", "ended", null]);
    expect(app.of(1).length).toBe(2);
  });

  it("changes nothing for one that is replaced already, nor for another node's", () => {
    const { app, first, node, evacuate, heir } = deployed();
    const other = app.of(1)[1]!;
    app.tell({ kind: "evacuate", node: nodeOf(app, other), instances: [other], reason: "drain" });
    evacuate();
    app.grantAll();
    app.observe([heir()], { kind: "ready" });
    app.tell({ kind: "stay", node });
    expect(phaseOf(app, first)).toBe("draining");
    expect(rowOf(app, other).leaving).toMatchObject({ cause: "drain" });
  });
});

describe("what the Cell is told of those that are to leave", () => {
  it("is the refusal in words, then that it is not ready yet, then until when it drains, then nothing", () => {
    const { app, first, evacuate, heir } = deployed();
    evacuate();
    answerAll(app, REFUSAL);
    app.tick(app.limits.heldIntervalMs);
    const reason = (): string | undefined =>
      heldIn(answerAll(app, REFUSAL)).find((held) => held.instance === first)?.reason;
    expect(reason()).toMatch(
      /^no room for its replacement since .*: of 3 nodes, 2 excluded by memory \(128 MiB missing/,
    );
    app.tick(app.limits.placementRetryMaxMs);
    app.grantAll();
    app.observe([heir()], { kind: "pulling", doneBytes: 1, totalBytes: 9 });
    app.tick(app.limits.heldIntervalMs);
    expect(reason()).toMatch(/^its replacement on node-1 is not ready yet: pulling$/);
    app.tick(app.limits.heldIntervalMs);
    app.observe([heir()], { kind: "ready" });
    app.tick(app.limits.heldIntervalMs);
    expect(heldIn(answerAll(app)).length + heldIn(answerAll(app)).length).toBeGreaterThan(0);
    expect(JSON.parse(app.tables.cells.get(CELL)!.heldTold!)[0].reason).toMatch(/^serves out its drain until \d{4}-/);
    app.tick(app.limits.drainMs);
    app.grantAll();
    app.tick(app.limits.heldIntervalMs);
    app.grantAll();
    expect(app.tables.cells.get(CELL)!.heldTold).toBe("[]");
  });

  it("is told when it changes, not with every step", () => {
    const { app, evacuate } = deployed();
    evacuate();
    answerAll(app, REFUSAL);
    app.tick(app.limits.heldIntervalMs);
    answerAll(app, REFUSAL);
    app.tick();
    const before = app.tables.cells.get(CELL)!.outSeq;
    for (let round = 0; round < 20; round += 1) {
      app.tick(500);
      answerAll(app, REFUSAL);
    }
    expect(app.tables.cells.get(CELL)!.outSeq).toBe(before);
  });

  it("is told at most once a second while it changes", () => {
    const { app, evacuate, heir } = deployed();
    evacuate();
    app.grantAll();
    const { outSeq } = app.tables.cells.get(CELL)!;
    for (const doneBytes of [1, 2, 3]) app.observe([heir()], { kind: "pulling", doneBytes, totalBytes: 9 });
    app.observe([heir()], { kind: "starting" });
    answerAll(app);
    expect(app.tables.cells.get(CELL)!.outSeq).toBe(outSeq);
    app.tick(app.limits.heldIntervalMs);
    expect(heldIn(answerAll(app))[0]?.reason).toMatch(/not ready yet: starting$/);
    expect(app.tables.cells.get(CELL)!.outSeq).toBe(outSeq + 1);
  });

  it("says that a required spread cannot be met", () => {
    const { app, evacuate } = deployed(2, { placement: { failureDomains: "required" } });
    evacuate();
    const spread: Refusal = {
      nodesTotal: 2,
      constraints: [
        { constraint: "failure_domains", nodesExcluded: 1, requested: null, missing: null },
        { constraint: "avoided", nodesExcluded: 1, requested: null, missing: null },
      ],
    };
    const [reserve] = answerAll(app, spread);
    // Only the replica that stays is in the way of the new one: a slot's own instance is not, the one that leaves.
    expect(reserve).toMatchObject({
      request: {
        slots: [{ ordinal: 0 }],
        occupied: [
          { failureDomain: "rack-1", ordinal: 1 },
          { failureDomain: "rack-0", ordinal: 0 },
        ],
      },
    });
    app.tick(app.limits.heldIntervalMs);
    answerAll(app, spread);
    expect(app.tables.cells.get(CELL)!.heldTold).toContain("1 excluded by failure_domains");
  });

  it("is to remove what this app does not know, so that nothing holds a drain for ever", () => {
    const { app, node } = deployed();
    app.tell({ kind: "evacuate", node, instances: [insId(99)], reason: "drain" });
    const [update] = answerAll(app);
    expect(update).toMatchObject({ kind: "update", request: { remove: [insId(99)] } });
    app.tick(60_000);
    expect(answerAll(app)).toEqual([]);
  });
});
