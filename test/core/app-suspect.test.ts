// core/app: drains, scales, crash loops, rollouts and singletons while a node is suspect.
import { describe, expect, it } from "vitest";
import type { InstanceId } from "../../contracts/ids.ts";
import type { InstanceFailure, Refusal } from "../../contracts/failures.ts";
import { answerAll, nodeOf, phaseOf, rowOf, settle, suspecting } from "./app-on-bench.ts";
import { as, spec, value } from "./bench-object.ts";

const refusal: Refusal = {
  nodesTotal: 2,
  constraints: [{ constraint: "not_ready", nodesExcluded: 2, requested: null, missing: null, detail: "2 suspect" }],
};
const failure: InstanceFailure = { code: "exited", message: "exit 1", exitCode: 1, signal: null, logTail: [] };

describe("while its node is suspect, an instance", () => {
  it("that is to be drained is moved like any other: what stood in for it starts at once", () => {
    const { app, first, suspect, evacuate, standby } = suspecting();
    suspect();
    settle(app);
    evacuate();
    expect(settle(app)).toContain("commit");
    expect(phaseOf(app, first)).toBe("running");
    app.observe([standby()!], { kind: "ready" });
    expect(phaseOf(app, first)).toBe("draining");
  });

  it("that is draining its node already is not doubled once more", () => {
    const { app, suspect, evacuate, standby } = suspecting();
    evacuate();
    settle(app);
    const next = standby()!;
    suspect();
    settle(app);
    expect([standby(), app.of(1).length]).toEqual([next, 3]);
  });

  it("whose drain is called off has its room held again, not started", () => {
    const { app, first, suspect, evacuate, say, standby } = suspecting();
    suspect();
    evacuate();
    say("stay");
    expect(settle(app)).not.toContain("commit");
    expect([phaseOf(app, first), phaseOf(app, standby()!)]).toEqual(["running", "committing"]);
  });

  it("that is not needed any more after a scale takes what stands in for it along", () => {
    const { app, first } = suspecting();
    const second = app.of(1)[1]!;
    app.tell({ kind: "node_suspect", node: nodeOf(app, second), instances: [second] });
    settle(app);
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 1 } }));
    app.answerVerify();
    settle(app);
    expect([app.phase(), app.of(1), phaseOf(app, second)]).toEqual(["completed", [first, second], "draining"]);
  });

  it("whose slot is in a backoff waits for its end, as it would if the node were lost", () => {
    const { app, first } = suspecting();
    app.observe([first], { kind: "failed", failure });
    app.tick(app.limits.replaceBackoffMs);
    settle(app);
    const next = app.of(1)[0]!;
    app.observe([next], { kind: "failed", failure });
    app.tick(2 * app.limits.replaceBackoffMs);
    settle(app);
    const third = app.of(1)[0]!;
    const loops = { kind: "backoff" as const, failure, retryAtMs: 0 };
    for (let crash = 0; crash < app.limits.restartBudget; crash += 1)
      app.observe([third], { ...loops, retryAtMs: crash });
    expect(rowOf(app, third).leaving).toMatchObject({ cause: "crash_loop" });
    const { notBeforeMs } = [...app.tables.slots.values()].find(({ failures }) => failures > 0)!;
    app.tell({ kind: "node_suspect", node: nodeOf(app, third), instances: [third] });
    expect(settle(app)).not.toContain("reserve");
    app.tick(notBeforeMs - app.nowMs);
    // Its move was wanted anyway, so that it does not wait for the node to be lost.
    expect(settle(app)).toEqual(expect.arrayContaining(["reserve", "commit"]));
  });

  it("that stood in itself for one that was lost is stood in for in its turn", () => {
    const { app, first, suspect, lose, say, standby } = suspecting();
    suspect();
    settle(app);
    lose();
    settle(app);
    const second = standby()!;
    app.tell({ kind: "node_suspect", node: nodeOf(app, second), instances: [second] });
    settle(app);
    const third = standby()!;
    expect([third === second, phaseOf(app, third)]).toEqual([false, "committing"]);
    say("node_back");
    settle(app);
    expect(app.of(1).filter((id) => rowOf(app, id).ordinal === 0)).toEqual([first]);
    expect(app.tables.instances.has(third)).toBe(false);
  });
});

describe("a rollout with instances on a suspect node", () => {
  const rolling = () => {
    const world = suspecting(2);
    value(
      world.app.take({
        kind: "acceptRelease",
        input: { ...as(null), spec: spec({}), privateImage: false, replicas: 2 },
      }),
    );
    settle(world.app);
    const [coming] = world.app.of(2) as [InstanceId];
    return { ...world, coming };
  };

  it("is neither failed nor helped along by room that is only held in case", () => {
    const { app, coming } = rolling();
    app.tell({ kind: "node_suspect", node: nodeOf(app, coming), instances: [coming] });
    settle(app, refusal);
    app.tick(app.limits.placementPatienceMs * 2);
    settle(app, refusal);
    expect(app.phase()).toBe("rolling");
    expect([...app.tables.rollouts.values()].at(-1)!.shed).toBe(0);
    app.tell({ kind: "node_cleared", node: nodeOf(app, coming) });
    app.bringUp();
    expect([app.phase(), app.of(2).length]).toEqual(["completed", 2]);
  });

  it("that ends takes what is held along with the old release's instances", () => {
    const { app, suspect, coming } = rolling();
    suspect();
    settle(app);
    expect(app.of(1).length).toBe(3);
    app.bringUp();
    expect(app.phase()).toBe("completed");
    settle(app);
    expect([app.of(2).includes(coming), app.of(1).map((id) => phaseOf(app, id))]).toEqual([
      true,
      ["draining", "draining"],
    ]);
  });
});

describe("a singleton whose node is suspect", () => {
  it("gets no replacement by silence if it is available: no room is held", () => {
    const { app, first, suspect } = suspecting(1, { placement: { singleton: "available" } });
    suspect();
    expect(settle(app)).toEqual([]);
    expect(app.of(1)).toEqual([first]);
  });

  it("has room held if it is strict, until it is certain to have stopped itself, and only then is replaced", () => {
    const { app, first, node, suspect, lose, standby } = suspecting(1, { placement: { singleton: "strict" } });
    suspect();
    const leaseMs = app.limits.reservationLeaseMs + app.limits.strictReplaceMs;
    expect(answerAll(app)).toMatchObject([{ kind: "reserve", request: { leaseMs } }]);
    lose([first]);
    app.tick(app.limits.strictReplaceMs - app.limits.suspectMs);
    expect(settle(app)).not.toContain("commit");
    expect([phaseOf(app, first), phaseOf(app, standby()!)]).toEqual(["running", "committing"]);
    app.tell({ kind: "node_gone", node, instances: [first] });
    expect(settle(app)).toContain("commit");
    expect(rowOf(app, standby()!)).toMatchObject({ generation: 2, phase: { kind: "running" } });
  });

  it("that is strict runs on where it is when its node is heard before that", () => {
    const { app, first, suspect, lose, say, standby } = suspecting(1, { placement: { singleton: "strict" } });
    suspect();
    settle(app);
    lose([first]);
    settle(app);
    const next = standby()!;
    say("node_back");
    // A singleton's end is always confirmed; the Cell does so at once for what it never had in a document.
    expect(answerAll(app)).toMatchObject([{ kind: "update", request: { remove: [next], confirm: [next] } }]);
    app.tell({ kind: "gone", instances: [next] });
    expect([app.of(1), app.tables.instances.size]).toEqual([[first], 1]);
  });

  it("is not waited for less by its next release: that asks for room when the old one is known stopped", () => {
    const { app, first, suspect, standby } = suspecting(1, { placement: { singleton: "strict" } });
    suspect();
    settle(app);
    const held = standby()!;
    const next = spec({ placement: { singleton: "strict" } });
    value(app.take({ kind: "acceptRelease", input: { ...as(null), spec: next, privateImage: false } }));
    expect(settle(app)).not.toContain("reserve");
    expect([app.of(1), app.of(2)]).toEqual([[], []]);
    app.tell({ kind: "gone", instances: [held] });
    expect(settle(app)).not.toContain("reserve");
    app.tell({ kind: "gone", instances: [first] });
    app.bringUp();
    expect(app.phase()).toBe("completed");
  });
});
