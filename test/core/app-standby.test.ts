// core/app: a node is suspect: room is held for what runs there; what holds it starts once the node is lost, or leaves no trace.
import { describe, expect, it } from "vitest";
import type { Refusal } from "../../contracts/failures.ts";
import { answerAll, eventsOf, phaseOf, readyOf, routed, rowOf, settle, suspecting } from "./app-on-bench.ts";
import { as, type BenchApp, value } from "./bench-object.ts";

const refusal: Refusal = {
  nodesTotal: 2,
  constraints: [{ constraint: "not_ready", nodesExcluded: 2, requested: null, missing: null, detail: "2 suspect" }],
};

const since = (app: BenchApp): (() => string[]) => {
  const before = app.tables.events.size;
  return () => [...app.tables.events.values()].slice(before).map(({ type }) => type);
};

describe("an instance whose node is suspect", () => {
  it("serves on, while room for its replacement is reserved elsewhere, for long enough, and nothing is committed", () => {
    const { app, first, node, suspect, standby } = suspecting();
    const told = since(app);
    suspect();
    const calls = answerAll(app);
    expect(calls).toMatchObject([{ kind: "reserve", request: { slots: [{ ordinal: 0, avoid: [node] }] } }]);
    const leaseMs = app.limits.reservationLeaseMs + app.limits.leaseTtlMs;
    expect(calls[0]).toMatchObject({ request: { leaseMs } });
    expect(settle(app)).toEqual([]);
    app.tick(4_000);
    expect(settle(app)).toEqual([]);
    expect([phaseOf(app, first), phaseOf(app, standby()!)]).toEqual(["running", "committing"]);
    expect([routed(app).includes(first), readyOf(app)]).toEqual([true, 2]);
    expect(told()).toEqual(["instance.reserved"]);
    expect(eventsOf(app, "instance.reserved")[0]?.data).toMatchObject({
      standsInFor: first,
      reason: "node-0 is silent",
    });
  });

  it("is replaced at once by what stood in for it when the node is lost", () => {
    const { app, first, suspect, lose, standby } = suspecting();
    suspect();
    settle(app);
    const told = since(app);
    lose();
    expect(answerAll(app).map(({ kind }) => kind)).toContain("commit");
    const next = standby()!;
    expect(phaseOf(app, next)).toBe("running");
    expect(told().filter((type) => type.startsWith("instance"))).toEqual(["instance.failed", "instance.placed"]);
    app.observe([next], { kind: "ready" });
    settle(app);
    expect([routed(app).includes(next), phaseOf(app, first)]).toEqual([true, "ended"]);
    expect(rowOf(app, next).generation).toBe(2);
  });

  it.each(["node_cleared", "node_back"] as const)(
    "keeps its slot after %s; the room is given back without a trace",
    (kind) => {
      const { app, first, suspect, say, standby } = suspecting();
      suspect();
      settle(app);
      const next = standby()!;
      const told = since(app);
      say(kind);
      expect(answerAll(app)).toMatchObject([{ kind: "update", request: { remove: [next] } }]);
      expect([app.of(1).length, app.tables.instances.has(next), told()]).toEqual([2, false, []]);
      expect(phaseOf(app, first)).toBe("running");
      app.tick(60_000);
      expect(settle(app)).toEqual([]);
    },
  );

  it("that is heard again while the answer is out gives back whatever comes", () => {
    const { app, suspect, say } = suspecting();
    suspect();
    say("node_cleared");
    expect(settle(app)).toEqual(["reserve", "update"]);
    expect(app.tables.instances.size).toBe(2);
  });

  it("that is called lost while the answer is out is replaced as soon as it comes, and says so once", () => {
    const { app, suspect, lose, standby } = suspecting();
    suspect();
    lose();
    settle(app);
    expect(phaseOf(app, standby()!)).toBe("running");
    expect([eventsOf(app, "instance.reserved").length, eventsOf(app, "instance.placed").length]).toEqual([0, 3]);
  });

  it("is held room for once, however often that is said, and again the next time", () => {
    const { app, suspect, say } = suspecting();
    suspect();
    suspect();
    expect(settle(app)).toEqual(["reserve"]);
    suspect();
    say("node_cleared");
    suspect();
    app.restart();
    app.take({ kind: "poke", input: {} });
    settle(app);
    expect(eventsOf(app, "instance.reserved").length).toBe(2);
    expect(app.of(1).length).toBe(3);
  });

  it("is replaced from scratch when the room that was held is no longer there", () => {
    const { app, first, suspect, lose, standby } = suspecting();
    suspect();
    settle(app);
    app.tick(600_000);
    lose();
    const [commit] = app.drain("call_cell");
    const answer = { ok: false as const, failure: { code: "conflict" as const, message: "no longer held" } };
    app.take({ kind: "committed", call: commit!.call, answer });
    settle(app);
    expect(rowOf(app, standby()!)).toMatchObject({ generation: 3, phase: { kind: "running" } });
    expect(phaseOf(app, first)).not.toBe("ended");
  });
});

describe("no room for what may be lost", () => {
  it("is told once, with what it is for, and tried again as usual; nobody's drain is cut short for it", () => {
    const { app, suspect, standby } = suspecting();
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 1 } }));
    app.bringUp();
    const draining = [...app.tables.instances.values()].find(({ phase }) => phase.kind === "draining")!;
    suspect();
    settle(app, refusal);
    const [event] = eventsOf(app, "placement.refused");
    expect(event?.data).toMatchObject({ refusal, reason: "node-0 is silent" });
    expect(rowOf(app, standby()!).phase).toMatchObject({ kind: "placing", refusal });
    expect(rowOf(app, draining.id).phase).toEqual(draining.phase);
    app.tick(app.limits.placementRetryMs);
    expect(settle(app, refusal)).toContain("reserve");
    expect(eventsOf(app, "placement.refused").length).toBe(1);
  });

  it("ends with the suspicion", () => {
    const { app, first, suspect, say } = suspecting();
    suspect();
    settle(app, refusal);
    say("node_cleared");
    expect([app.of(1).length, app.tables.instances.size, phaseOf(app, first)]).toEqual([2, 2, "running"]);
    app.tick(60_000);
    expect(settle(app)).toEqual([]);
  });

  it("is asked for anew, and told anew, when the node is lost", () => {
    const { app, suspect, lose, standby } = suspecting();
    suspect();
    for (let tries = 0; tries < 3; tries += 1) {
      settle(app, refusal);
      app.tick(app.limits.placementRetryMs * 2 ** tries);
    }
    settle(app, refusal);
    lose();
    expect(answerAll(app, refusal).map(({ kind }) => kind)).toContain("reserve");
    expect(eventsOf(app, "placement.refused").length).toBe(2);
    app.tick(app.limits.placementRetryMs);
    settle(app);
    expect(rowOf(app, standby()!)).toMatchObject({ generation: 2, phase: { kind: "running" } });
  });
});
