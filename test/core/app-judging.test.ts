// core/app: a canary judged by what gateways counted. What is worse goes back by itself, with its numbers; what is not, goes on.
import { describe, expect, it } from "vitest";
import type { InstanceCounters } from "../../contracts/agent-protocol.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import { Rollout } from "../../contracts/api.ts";
import { as, CELL, type BenchApp } from "./bench-object.ts";
import { eventsOf } from "./app-on-bench.ts";
import {
  command,
  newest,
  pass,
  release,
  serving,
  upAndAnswer,
  viewOf,
  weights,
  type PlanInput,
} from "./app-rolling.ts";

const MINUTE = 60_000;
const CANARY: PlanInput = { strategy: { kind: "canary", steps: [{ weight: 10, durationMs: MINUTE }] } };

/** What the gateways of an app have counted, and tell every two seconds. */
class Gateways {
  private readonly totals = new Map<InstanceId, { requests: number; errors: number }>();
  private readonly app: BenchApp;
  constructor(app: BenchApp) {
    this.app = app;
    this.tell();
  }
  /** So many requests per second and version, of which such a share fails, for so long. */
  serve(ms: number, traffic: Record<`v${number}`, { perSecond: number; errors: number }>, comesUp = true): void {
    for (let at = 0; at < ms; at += 2_000) {
      for (const [version, { perSecond, errors }] of Object.entries(traffic)) {
        const [id] = this.app.of(Number(version.slice(1)));
        if (!id) continue;
        const known = this.totals.get(id) ?? { requests: 0, errors: 0 };
        this.totals.set(id, {
          requests: known.requests + 2 * perSecond,
          errors: known.errors + 2 * perSecond * errors,
        });
      }
      pass(this.app, 2_000);
      this.tell();
      if (comesUp) upAndAnswer(this.app, 2);
    }
  }
  tell(more: (items: InstanceCounters[]) => InstanceCounters[] = (items) => items): void {
    const items = [...this.app.of(1), ...this.app.of(2)].map((id) => this.countersOf(id));
    this.app.take({ kind: "counted", input: { cell: CELL, items: more(items) } });
  }
  private countersOf(instance: InstanceId): InstanceCounters {
    const row = this.app.tables.instances.get(instance)!;
    const { app, team } = this.app.tables.app.get("app")!;
    const { requests, errors } = this.totals.get(instance) ?? { requests: 0, errors: 0 };
    const s5xx = Math.round(errors);
    const status = { s1xx: 0, s2xx: requests - s5xx, s3xx: 0, s4xx: 0, s5xx };
    const ids = { instance, generation: row.generation, app, team, release: row.release };
    return {
      ...ids,
      runningMs: 1,
      cpuMs: 1,
      memoryByteMs: 1,
      requests,
      status,
      bytesIn: 0,
      bytesOut: 0,
      latency: [],
    };
  }
}
const judged = (plan: PlanInput = CANARY): { app: BenchApp; gateways: Gateways } => {
  const app = serving(4);
  release(app, plan);
  upAndAnswer(app, 2);
  return { app, gateways: new Gateways(app) };
};

describe("a judged canary", () => {
  it("with 5 % errors goes back to nothing by itself, within its step, with reason and numbers", () => {
    const { app, gateways } = judged();
    expect(weights(app)).toEqual({ v1: 90, v2: 10 });
    gateways.serve(MINUTE - 2_000, { v1: { perSecond: 90, errors: 0.001 }, v2: { perSecond: 10, errors: 0.05 } });
    expect(weights(app)).toEqual({ v1: 100 });
    const view = Rollout.parse(viewOf(app));
    expect(view).toMatchObject({ phase: "failed", failure: { kind: "analysis", verdict: { check: "errors" } } });
    expect(view.analysis?.numbers.next.requests).toBeGreaterThan(50);
    expect(view.analysis?.reason).toMatch(/%/);
    expect(eventsOf(app, "rollout.judged").at(-1)?.data).toMatchObject({ verdict: { kind: "fail" } });
  });

  it("that is no worse goes on when its time is over", () => {
    const { app, gateways } = judged();
    gateways.serve(MINUTE + 4_000, { v1: { perSecond: 90, errors: 0.01 }, v2: { perSecond: 10, errors: 0.01 } });
    expect(app.phase()).toBe("completed");
    // What it went on by stays to be read.
    expect(viewOf(app).analysis).toMatchObject({ kind: "pass" });
    expect(viewOf(app).analysis!.numbers.next.requests).toBeGreaterThan(500);
  });

  it("that nobody visits waits, says so, and is promoted by whoever knows better", () => {
    const { app } = judged();
    pass(app, 2 * MINUTE);
    expect(viewOf(app)).toMatchObject({ phase: "holding", analysis: { kind: "no_traffic" } });
    expect(viewOf(app).waitingFor).toMatch(/requests/);
    command(app, "promote");
    upAndAnswer(app, 2);
    expect(app.phase()).toBe("completed");
  });

  it("that nobody visits goes on where its plan says so", () => {
    const { app } = judged({ ...CANARY, analysis: { noTraffic: "pass" } });
    pass(app, MINUTE + 4_000);
    upAndAnswer(app, 2);
    expect(app.phase()).toBe("completed");
    expect(viewOf(app).analysis).toMatchObject({ kind: "no_traffic", rule: "pass" });
  });

  it("is judged on by what a restarted object knew, and by what is counted after", () => {
    const { app, gateways } = judged();
    const both = { v1: { perSecond: 90, errors: 0.001 }, v2: { perSecond: 10, errors: 0.05 } };
    gateways.serve(10_000, both);
    const before = viewOf(app).analysis!.numbers.next.requests;
    expect(before).toBeGreaterThan(50);
    app.restart();
    app.tick();
    expect(viewOf(app).analysis!.numbers.next.requests).toBe(before);
    gateways.serve(40_000, both);
    expect(app.phase()).toBe("failed");
  });

  it("believes no counts of strangers, of other generations, or twice", () => {
    const { app, gateways } = judged();
    gateways.serve(10_000, { v1: { perSecond: 90, errors: 0 }, v2: { perSecond: 10, errors: 0 } });
    pass(app, 2_000);
    const before = viewOf(app).analysis!.numbers.next.requests;
    for (let again = 0; again < 5; again += 1) gateways.tell();
    gateways.tell((items) => items.map((item) => ({ ...item, generation: 7, requests: 1e6 })));
    gateways.tell((items) => items.map((item) => ({ ...item, instance: "ins_stranger" as InstanceId, requests: 1e6 })));
    pass(app, 4_000);
    expect(viewOf(app).analysis!.numbers.next.requests).toBe(before);
  });

  it("keeps being judged while it is paused", () => {
    const { app, gateways } = judged();
    command(app, "pause");
    gateways.serve(MINUTE, { v1: { perSecond: 90, errors: 0 }, v2: { perSecond: 10, errors: 0.3 } });
    expect(app.phase()).toBe("failed");
  });
});

describe("a canary between its holds", () => {
  const TWO: PlanInput = { strategy: { kind: "canary", steps: [{ weight: 25 }, { weight: 50 }] } };

  it("is judged while the next step's instances come, which may take long", () => {
    const { app, gateways } = judged(TWO);
    gateways.serve(10_000, { v1: { perSecond: 75, errors: 0 }, v2: { perSecond: 25, errors: 0 } });
    app.take({ kind: "controlRollout", input: { ...as(null), rollout: newest(app).id, command: "promote" } });
    expect(app.phase()).toBe("rolling");
    gateways.serve(MINUTE, { v1: { perSecond: 75, errors: 0 }, v2: { perSecond: 25, errors: 0.2 } }, false);
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "analysis" }, step: { index: 2 } });
    expect(weights(app)).toEqual({ v1: 100 });
  });

  it("is judged while the command after runs, with all of the traffic", () => {
    const after = { command: ["./tell"], timeoutMs: 60 * MINUTE };
    const { app, gateways } = judged({ strategy: { kind: "canary", steps: [{ weight: 25 }] }, after });
    gateways.serve(10_000, { v1: { perSecond: 75, errors: 0 }, v2: { perSecond: 25, errors: 0 } });
    command(app, "promote");
    upAndAnswer(app, 2);
    expect([app.phase(), weights(app)]).toEqual(["finishing", { v1: 0, v2: 100 }]);
    gateways.serve(2 * MINUTE, { v2: { perSecond: 100, errors: 0.4 } });
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "analysis" } });
    expect(weights(app)).toEqual({ v1: 100 });
  });

  it("goes on by what was counted in its own step alone", () => {
    const { app, gateways } = judged({
      strategy: { kind: "canary", steps: [{ weight: 25 }, { weight: 50, durationMs: 1_000 }] },
    });
    gateways.serve(30_000, { v1: { perSecond: 75, errors: 0 }, v2: { perSecond: 25, errors: 0 } });
    expect(viewOf(app).analysis).toMatchObject({ kind: "pass" });
    command(app, "promote");
    upAndAnswer(app, 2);
    pass(app, MINUTE);
    expect(viewOf(app)).toMatchObject({ phase: "holding", step: { index: 2 }, analysis: { kind: "no_traffic" } });
  });
});

describe("a judged green", () => {
  it("on trial goes back to blue by its errors alone: blue has no traffic to compare with", () => {
    const { app, gateways } = judged({ strategy: { kind: "blue_green", watchMs: 5 * MINUTE } });
    expect(weights(app)).toEqual({ v1: 0, v2: 100 });
    gateways.serve(2 * MINUTE, { v2: { perSecond: 50, errors: 0.3 } });
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "analysis" } });
    expect(weights(app)).toEqual({ v1: 100 });
  });

  it("that nobody visits is in service when its watch is over", () => {
    const { app } = judged({ strategy: { kind: "blue_green", watchMs: MINUTE } });
    pass(app, MINUTE + 4_000);
    expect(app.phase()).toBe("completed");
  });
});
