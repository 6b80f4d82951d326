// core/app: evacuations beside a rollout, and of apps that have nothing to move.
import { describe, expect, it } from "vitest";
import type { Refusal } from "../../contracts/failures.ts";
import { answerAll, deployed, nodeOf, phaseOf, rowOf } from "./app-on-bench.ts";
import { BenchApp, CELL, as, spec, value } from "./bench-object.ts";

const REFUSAL: Refusal = {
  nodesTotal: 3,
  constraints: [{ constraint: "memory", nodesExcluded: 2, requested: 256 * 2 ** 20, missing: 128 * 2 ** 20 }],
};

describe("an evacuation beside a rollout", () => {
  const rolling = () => {
    const made = deployed(2);
    const { app } = made;
    value(app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(), privateImage: false } }));
    app.grantAll();
    return made;
  };

  it("of an old instance: moves it if the rollout takes longer, and never fails the rollout", () => {
    const { app, first, evacuate } = rolling();
    evacuate();
    app.grantAll();
    const second = app.of(1).find((id) => rowOf(app, id).generation === 2)!;
    app.observe([second], { kind: "ready" });
    expect(phaseOf(app, first)).toBe("draining");
    expect(app.phase()).toBe("rolling");
    app.bringUp();
    expect(app.phase()).toBe("completed");
    expect(phaseOf(app, second)).toBe("draining");
  });

  it("of an old instance: the rollout's end retires it, and its replacement goes", () => {
    const { app, first, evacuate } = rolling();
    evacuate();
    answerAll(app, REFUSAL);
    app.bringUp();
    expect(app.phase()).toBe("completed");
    expect(phaseOf(app, first)).toBe("draining");
    expect(app.of(1).every((id) => phaseOf(app, id) === "draining")).toBe(true);
  });

  it("of a new instance: the rollout counts the one that serves, and completes", () => {
    const { app } = rolling();
    const fresh = app.of(2);
    app.observe(fresh, { kind: "ready" });
    app.tell({ kind: "evacuate", node: nodeOf(app, fresh[0]!), instances: [fresh[0]!], reason: "drain" });
    answerAll(app, REFUSAL);
    app.tick(app.limits.placementPatienceMs * 2);
    answerAll(app, REFUSAL);
    expect([...app.tables.rollouts.values()].at(-1)!.shed).toBe(0);
    app.answerVerify();
    expect(app.phase()).toBe("completed");
    expect(phaseOf(app, fresh[0]!)).toBe("running");
  });
});

describe("an evacuation of an app that has nothing to move", () => {
  it.each([
    ["never deployed", (app: BenchApp) => app],
    [
      "scaled to zero",
      (app: BenchApp) => (app.deploy(), value(app.take({ kind: "scale", input: { ...as(null), replicas: 0 } })), app),
    ],
    ["destroyed", (app: BenchApp) => (app.deploy(), value(app.take({ kind: "destroy", input: as(null) })), app)],
  ])("%s: makes nothing new, and says until when what is left of it serves", (_name, prepare) => {
    const app = new BenchApp();
    prepare(app);
    app.grantAll();
    app.answerVerify();
    app.grantAll();
    const rows = [...app.tables.instances.values()];
    for (const row of rows) {
      app.tell({ kind: "evacuate", node: row.placement!.node, instances: [row.id], reason: "drain" });
    }
    app.grantAll();
    expect(app.tables.instances.size).toBe(rows.length);
    for (const row of rows) {
      if (phaseOf(app, row.id) === "draining")
        expect(app.tables.cells.get(CELL)!.heldTold).toContain("serves out its drain");
    }
    app.tick(app.limits.drainMs);
    app.grantAll();
    app.tick(app.limits.heldIntervalMs);
    app.grantAll();
    expect([...app.tables.instances.values()].every((row) => row.phase.kind === "ended")).toBe(true);
  });
});
