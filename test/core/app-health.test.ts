// core/app/health: reports of unreachable instances, the second opinion, what the route leaves out meanwhile, and false alarms.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { InstanceId } from "../../contracts/ids.ts";
import type { AppInputs } from "../../core/app/types.ts";
import { BenchApp, value } from "./bench-object.ts";
import { announced, SEED } from "./seed.ts";

const FAILURE = { code: "liveness_failed" as const, message: "503", exitCode: null, signal: null, logTail: [] };
const UNREADY = { kind: "unready" as const, failure: FAILURE };
type Report = AppInputs["reportUnreachable"];

class Ailing extends BenchApp {
  readonly ids: InstanceId[];

  constructor(replicas: number) {
    super();
    this.deploy({}, replicas);
    this.ids = this.of(1);
    this.effects = [];
  }
  id(n: number): InstanceId {
    return this.ids[n]!;
  }
  report(n: number, more: Partial<Report> = {}): void {
    const input = { instance: this.id(n), generation: 1, kind: "connect" as const, atMs: this.nowMs, ...more };
    value(this.take({ kind: "reportUnreachable", input }));
  }
  /** Answers every second opinion that is out. */
  answer(ok: boolean): InstanceId[] {
    const asked = this.drain("probe_instances").flatMap(({ targets }) => targets.map(({ endpoint }) => endpoint));
    const results = asked.map(({ instance, generation }) => ({ instance, generation, ok, message: "said so" }));
    if (results.length > 0) this.take({ kind: "instances_probed", results });
    return asked.map(({ instance }) => instance);
  }
  routed(): InstanceId[] {
    const { state } = this.tables.route.get("route")!.route;
    if (state.kind !== "serving") return [];
    return state.releases.flatMap(({ endpoints }) => endpoints.map(({ instance }) => instance));
  }
  told(type: string): Record<string, unknown>[] {
    return [...this.tables.events.values()].filter((event) => event.type === type).map(({ data }) => data);
  }
  version(): number {
    return this.tables.route.get("route")!.route.version;
  }
}

describe("a surplus instance", () => {
  it("serves on while one of those that stay cannot be reached", () => {
    const app = new Ailing(2);
    value(app.take({ kind: "scale", input: { replicas: 3, actor: "user:lab", idempotencyKey: null } }));
    app.grantAll();
    const [surplus] = app.of(1).filter((id) => !app.ids.includes(id));
    app.observe([surplus!], { kind: "ready" });
    app.report(0);
    value(app.take({ kind: "scale", input: { replicas: 2, actor: "user:lab", idempotencyKey: null } }));
    app.answerVerify();
    app.grantAll();
    expect(app.routed()).toEqual([app.id(1), surplus]);
    app.answer(true);
    expect(app.routed()).toEqual([app.id(0), app.id(1)]);
    expect(app.tables.instances.get(surplus!)!.phase.kind).toBe("draining");
  });
});

describe("a reported instance", () => {
  it("leaves the route at once while others remain, and a second opinion is asked for", () => {
    const app = new Ailing(3);
    const before = app.version();
    app.report(0);
    expect(app.routed()).toEqual([app.id(1), app.id(2)]);
    expect(app.version()).toBe(before + 1);
    expect(app.told("instance.ejected")).toMatchObject([
      { cause: "connect", confirmed: false, instance: { ordinal: 0 } },
    ]);
    const [asked] = app.drain("probe_instances");
    expect(asked?.targets).toMatchObject([
      { endpoint: { instance: app.id(0), generation: 1, gatewayUrl: "http://node-0:1" }, path: "/" },
    ]);
    // Its nodes hear of the new version, and with them every edge.
    expect(app.drain("call_cell")).toMatchObject([
      { request: { kind: "update", request: { routeVersion: before + 1 } } },
    ]);
  });

  it("is back in the route as soon as the second opinion got an answer, and is not doubted again for a while", () => {
    const app = new Ailing(2);
    app.report(0);
    app.answer(true);
    expect(app.routed()).toEqual([app.id(0), app.id(1)]);
    expect(app.told("instance.restored")).toHaveLength(1);
    app.nowMs += app.limits.healthDoubtMs - 1;
    app.report(0);
    expect(app.rowsWritten).toBe(0);
    expect(app.routed()).toHaveLength(2);
    app.nowMs += 1;
    app.report(0);
    expect(app.routed()).toEqual([app.id(1)]);
    app.answer(true);
    // The second false alarm in a row is remembered for twice as long.
    app.nowMs += 2 * app.limits.healthDoubtMs - 1;
    app.report(0);
    expect(app.routed()).toHaveLength(2);
  });

  it("stays out while it does not answer, is asked ever more seldom, and returns when it does", () => {
    const app = new Ailing(2);
    app.report(0);
    app.answer(false);
    const waits: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const sinceMs = app.nowMs;
      while (app.drain("probe_instances").length === 0) {
        app.nowMs = app.wakeAtMs!;
        app.tick();
        app.grantAll();
      }
      waits.push(app.nowMs - sinceMs);
      const results = [{ instance: app.id(0), generation: 1, ok: round === 4, message: "said so" }];
      app.take({ kind: "instances_probed", results });
    }
    expect(waits).toEqual([2_000, 4_000, 8_000, 15_000, 15_000]);
    expect(app.routed()).toEqual([app.id(0), app.id(1)]);
    expect(app.told("instance.ejected")).toHaveLength(1);
    expect(app.told("instance.restored")).toHaveLength(1);
  });

  it("is asked about again after the object was restarted, and stays out meanwhile", () => {
    const app = new Ailing(2);
    app.report(0);
    app.restart();
    app.tick();
    expect(app.routed()).toEqual([app.id(1)]);
    expect(app.answer(false)).toEqual([app.id(0)]);
    app.restart();
    app.tick();
    expect(app.answer(true)).toEqual([app.id(0)]);
    expect(app.routed()).toHaveLength(2);
  });

  it("is forgotten when its own node says that it does not serve, or it ends", () => {
    const app = new Ailing(2);
    app.report(0);
    app.observe([app.id(0)], UNREADY);
    expect(app.tables.health.size).toBe(0);
    app.observe([app.id(0)], { kind: "ready" });
    expect(app.routed()).toHaveLength(2);
    app.report(0);
    app.tell({ kind: "node_gone", node: app.tables.instances.get(app.id(0))!.placement!.node, instances: [app.id(0)] });
    expect(app.tables.health.size).toBe(0);
    // Opinions that come late are about nobody.
    expect(app.answer(false)).toEqual([app.id(0), app.id(0)]);
    expect(app.tables.health.size).toBe(0);
  });
});

describe("how many may leave the route", () => {
  const cases: [string, number, Report["kind"], boolean | null, number][] = [
    ["the last one never does, on reports alone", 1, "connect", null, 1],
    ["the last one never does, even when nobody can reach it", 1, "connect", false, 1],
    ["at most half of two on reports alone", 2, "connect", null, 1],
    ["at most half of five on reports alone", 5, "connect", null, 3],
    ["all but one of dead nodes' instances", 5, "connect", false, 1],
    ["at most half where gateways answer, whatever the second opinion", 5, "gateway_5xx", false, 3],
    ["nobody whom the second opinion reached", 5, "connect", true, 5],
  ];
  it.each(cases)("%s", (_name, replicas, kind, opinion, left) => {
    const app = new Ailing(replicas);
    for (let n = 0; n < replicas; n += 1) app.report(n, { kind });
    if (opinion !== null) app.answer(opinion);
    expect(app.routed()).toHaveLength(left);
    expect(app.told("instance.ejected").length - app.told("instance.restored").length).toBe(replicas - left);
  });

  it("a release that has one instance keeps its weight during a rollout", () => {
    const app = new Ailing(3);
    value(
      app.take({
        kind: "acceptRelease",
        input: {
          actor: "user:lab",
          idempotencyKey: null,
          spec: app.tables.releases.values().next().value!.release.spec,
          privateImage: false,
        },
      }),
    );
    app.grantAll();
    const [first] = app.of(2);
    app.observe([first!], { kind: "ready" });
    const weights = (): number[] => {
      const { state } = app.tables.route.get("route")!.route;
      return state.kind === "serving" ? state.releases.map(({ weight }) => weight) : [];
    };
    const before = weights();
    app.take({
      kind: "reportUnreachable",
      input: { instance: first!, generation: 1, kind: "connect", atMs: app.nowMs },
    });
    app.answer(false);
    expect(weights()).toEqual(before);
    expect(app.routed()).toContain(first);
  });
});

describe("a report that is not to be believed", () => {
  const lies: [string, Partial<Report>][] = [
    ["about an instance of nobody", { instance: "ins_01h00000000000000000000000" as InstanceId }],
    ["about another generation", { generation: 2 }],
    ["from the future", { atMs: 1_000_000 + 60_000 }],
    ["from long ago", { atMs: 1_000_000 - 60_000 }],
    ["from no time at all", { atMs: Number.NaN }],
  ];
  it.each(lies)("%s changes nothing and asks nobody", (_name, lie) => {
    const app = new Ailing(2);
    app.report(0, lie);
    expect(app.rowsWritten).toBe(0);
    expect(app.effects).toEqual([]);
    expect(app.routed()).toHaveLength(2);
  });

  it("a thousand of one instance write one row and ask once", () => {
    const app = new Ailing(2);
    app.report(0);
    const asked = app.drain("probe_instances").length;
    let rows = 0;
    for (let n = 0; n < 1_000; n += 1) {
      app.report(0);
      rows += app.rowsWritten;
    }
    expect([asked, app.drain("probe_instances").length, rows]).toEqual([1, 0, 0]);
  });

  it("of an app that drains it, or was destroyed, is taken without effect", () => {
    const app = new Ailing(2);
    value(app.take({ kind: "scale", input: { actor: "user:lab", idempotencyKey: null, replicas: 1 } }));
    app.grantAll();
    app.answerVerify();
    const drained = app.ids.find((id) => app.tables.instances.get(id)!.phase.kind === "draining")!;
    app.take({
      kind: "reportUnreachable",
      input: { instance: drained, generation: 1, kind: "connect", atMs: app.nowMs },
    });
    expect(app.tables.health.size).toBe(0);
    value(app.take({ kind: "destroy", input: { actor: "user:lab", idempotencyKey: null } }));
    app.report(0);
    expect(app.tables.health.size).toBe(0);
  });
});

describe("any reports, opinions, restarts and words of nodes", () => {
  const REPLICAS = 4;
  const n = fc.integer({ min: 0, max: REPLICAS - 1 });
  const event = fc.oneof(
    fc.record({
      kind: fc.constant("report" as const),
      n,
      cause: fc.constantFrom("connect" as const, "gateway_5xx" as const),
    }),
    fc.record({ kind: fc.constant("opinion" as const), ok: fc.boolean() }),
    fc.record({ kind: fc.constant("node" as const), n, ready: fc.boolean() }),
    fc.record({ kind: fc.constant("time" as const), ms: fc.integer({ min: 0, max: 20_000 }) }),
    fc.record({ kind: fc.constant("restart" as const) }),
  );

  it(announced("leave at least one ready instance in the route, and all of them once everybody answers"), () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const app = new Ailing(REPLICAS);
        const ready = () => app.ids.filter((id) => app.tables.instances.get(id)!.observed?.kind === "ready");
        for (const one of events) {
          if (one.kind === "report") app.report(one.n, { kind: one.cause });
          else if (one.kind === "opinion") app.answer(one.ok);
          else if (one.kind === "node") app.observe([app.id(one.n)], one.ready ? { kind: "ready" } : UNREADY);
          else if (one.kind === "time") app.tick(one.ms);
          else app.restart();
          app.grantAll();
          const routed = app.routed();
          expect(routed.length > 0).toBe(ready().length > 0);
          expect(routed.every((id) => ready().includes(id))).toBe(true);
          const { state } = app.tables.route.get("route")!.route;
          if (state.kind === "serving") expect(state.releases.map(({ weight }) => weight)).toEqual([100]);
          const out = [...app.tables.health.values()].filter((row) => row.out);
          expect(routed.length).toBe(ready().length - out.length);
          const unsure = out.filter(({ phase, cause }) => phase.kind !== "ejected" || cause === "gateway_5xx");
          expect(unsure.length).toBeLessThanOrEqual(REPLICAS / 2);
        }
        app.observe(app.ids, { kind: "ready" });
        for (let seconds = 0; seconds < 60; seconds += 1) {
          app.tick(1_000);
          app.answer(true);
        }
        expect(app.routed()).toEqual(app.ids);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });
});
