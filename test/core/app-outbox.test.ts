// core/app: the outbox of an App whose Postgres was set back: what it lacks is sent again, never in a loop.
import { describe, expect, it } from "vitest";
import { BenchApp } from "./bench-object.ts";

describe("the outbox, when Postgres knows less than it once acknowledged", () => {
  const behind = () => {
    const app = new BenchApp();
    app.deploy();
    app.tick(app.limits.outboxDelayMs);
    const { eventSeq } = app.tables.counters.get("counters")!;
    app.take({ kind: "outbox_acked", lastSeq: eventSeq });
    app.observe(app.of(1), {
      kind: "unready",
      failure: { code: "exited", message: "", exitCode: 1, signal: null, logTail: [] },
    });
    app.tick(app.limits.outboxDelayMs);
    app.drain("drain_outbox");
    return { app, eventSeq };
  };

  it("sends again from where Postgres stands", () => {
    const { app, eventSeq } = behind();
    app.take({ kind: "outbox_acked", lastSeq: eventSeq - 3 });
    expect(app.drain("drain_outbox")).toEqual([]);
    app.tick(app.limits.outboxRetryMs);
    expect(app.drain("drain_outbox")[0]?.events[0]?.seq).toBe(eventSeq - 2);
  });

  it("asks ever more seldom, not in a loop, when what it lacks is no longer here", () => {
    const { app } = behind();
    let sent = 0;
    for (let second = 0; second < 600; second += 1) {
      for (const _ of app.drain("drain_outbox")) {
        sent += 1;
        app.take({ kind: "outbox_acked", lastSeq: 0 });
        const counters = app.tables.counters.get("counters")!;
        app.tables.counters.set("counters", { ...counters, prunedSeq: Math.max(counters.prunedSeq, 2) });
      }
      app.tick(1_000);
    }
    expect(sent).toBeGreaterThan(2);
    expect(sent).toBeLessThan(20);
  });
});
