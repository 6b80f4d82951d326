// core/app: everything customers may ask besides a first release, and that asking twice is asking once.
import { describe, expect, it } from "vitest";
import type { NodeId } from "../../contracts/ids.ts";
import { BenchApp, as, idFor, spec, value } from "./bench-object.ts";

const read = (app: BenchApp) => value(app.take({ kind: "read", input: {} }));
const release = (app: BenchApp, key: string | null = null, more: Record<string, unknown> = {}) =>
  app.take({ kind: "acceptRelease", input: { ...as(key), spec: spec(more), privateImage: false } });

describe("an app", () => {
  it("numbers its releases and never changes one", () => {
    const app = new BenchApp();
    app.deploy({ port: 1 });
    app.deploy({ port: 2 });
    const { items } = value(app.take({ kind: "listReleases", input: { limit: 10 } }));
    expect(items.map((item) => [item.version, item.spec.port])).toEqual([
      [2, 2],
      [1, 1],
    ]);
    const page = value(app.take({ kind: "listReleases", input: { limit: 1 } }));
    expect(page.more).toBe(true);
    expect(value(app.take({ kind: "listReleases", input: { limit: 9, beforeVersion: 2 } })).items.length).toBe(1);
  });

  it("keeps the image it was looked at under, also where only its variables change", () => {
    const app = new BenchApp();
    const input = { ...as("k"), spec: spec(), privateImage: false };
    const accept = (digest: string) => app.take({ kind: "acceptRelease", input: { ...input, digest } });
    expect(value(accept("sha256:a")).release?.digest).toBe("sha256:a");
    // What another try found is no other request.
    expect(value(accept("sha256:b")).release?.digest).toBe("sha256:a");
    app.bringUp();
    const changed = value(app.take({ kind: "changeEnvironment", input: { ...as(null), set: { A: "s" }, unset: [] } }));
    expect(changed.release).toMatchObject({ version: 2, digest: "sha256:a" });
  });

  it("rolls back to the release before, with its environment", () => {
    const app = new BenchApp();
    value(app.take({ kind: "changeEnvironment", input: { ...as(null), set: { A: "sealed-1" }, unset: [] } }));
    app.deploy();
    const changed = value(
      app.take({ kind: "changeEnvironment", input: { ...as(null), set: { B: "sealed-2" }, unset: ["A"] } }),
    );
    expect([changed.release?.version, changed.rollout?.reason, changed.release?.envNames]).toEqual([
      2,
      "environment",
      ["B"],
    ]);
    app.bringUp();
    const back = value(app.take({ kind: "rollback", input: as(null) }));
    expect([back.release?.version, back.rollout?.reason, back.rollout?.fromVersion]).toEqual([1, "rollback", 2]);
    app.bringUp();
    expect(read(app)).toMatchObject({ status: "healthy", envNames: ["A"], currentRelease: { version: 1 } });
    const id = app.of(1)[0]!;
    const { placement, generation } = app.tables.instances.get(id)!;
    const asked = { instance: id, generation, node: placement!.node };
    expect(value(app.take({ kind: "environment", input: asked })).sealed).toEqual({ A: "sealed-1" });
    expect(app.take({ kind: "environment", input: { ...asked, generation: generation + 1 } }).ok).toBe(false);
    expect(app.take({ kind: "environment", input: { ...asked, node: idFor<NodeId>("node", 99) } }).ok).toBe(false);
  });

  it("undoes an unfinished release when asked to roll back, without starting anything", () => {
    const app = new BenchApp();
    app.deploy({}, 2);
    const before = app.of(1);
    value(release(app));
    app.grantAll();
    const back = value(app.take({ kind: "rollback", input: as(null) }));
    expect(back.release?.version).toBe(1);
    app.answerVerify();
    expect(app.phase()).toBe("completed");
    expect(app.of(1)).toEqual(before);
    expect(app.of(2)).toEqual([]);
  });

  it("refuses a rollback with nothing to go to, and a version that is not kept", () => {
    const app = new BenchApp();
    const refused = (input: { version?: number }) => app.take({ kind: "rollback", input: { ...as(null), ...input } });
    expect(refused({})).toMatchObject({ failure: { code: "nothing_to_roll_back" } });
    app.deploy();
    expect(refused({})).toMatchObject({ failure: { code: "nothing_to_roll_back" } });
    expect(refused({ version: 7 })).toMatchObject({ failure: { code: "not_found" } });
  });

  it("scales up beside what runs, down by draining, and to zero", () => {
    const app = new BenchApp();
    app.deploy();
    const first = app.of(1);
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 3 } }));
    app.bringUp();
    expect(app.of(1).slice(0, 1)).toEqual(first);
    expect(read(app)).toMatchObject({ replicas: 3, readyInstances: 3, status: "healthy" });
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 1 } }));
    app.bringUp();
    expect(app.tables.route.get("route")!.route.state).toMatchObject({ releases: [{ endpoints: [{}] }] });
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 0 } }));
    expect(app.phase()).toBe("completed");
    expect(read(app).status).toBe("scaled_to_zero");
    expect(app.tables.route.get("route")!.route.state).toEqual({ kind: "unavailable", reason: "scaled_to_zero" });
  });

  it("goes back to its size from before when a scale fails", () => {
    const app = new BenchApp();
    app.deploy();
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 4 } }));
    app.grantAll();
    app.tick(app.limits.deadlineMs);
    expect(app.phase()).toBe("failed");
    expect(read(app)).toMatchObject({ replicas: 1, readyInstances: 1 });
    expect(app.of(1).length).toBe(1);
  });

  it("restarts with new generations, the old serving until each new one is ready", () => {
    const app = new BenchApp();
    app.deploy({}, 2);
    const old = app.of(1);
    value(app.take({ kind: "restart", input: as(null) }));
    app.grantAll();
    const fresh = app.of(1).filter((id) => !old.includes(id));
    expect(fresh.map((id) => app.tables.instances.get(id)!.generation)).toEqual([2, 2]);
    app.observe(fresh.slice(0, 1), { kind: "ready" });
    const { state } = app.tables.route.get("route")!.route;
    const named = state.kind === "serving" ? state.releases[0]!.endpoints.map((entry) => entry.instance) : [];
    expect(named).toEqual([fresh[0], old[1]]);
    expect(state).toMatchObject({ releases: [{ weight: 100 }] });
  });

  it("stores what is asked of an app without a release, and refuses what needs one", () => {
    const app = new BenchApp();
    expect(value(app.take({ kind: "scale", input: { ...as(null), replicas: 3 } })).rollout).toBeNull();
    expect(app.take({ kind: "restart", input: as(null) })).toMatchObject({ failure: { code: "no_release" } });
    expect(value(release(app)).rollout?.replicas).toBe(3);
  });

  it("cancels in every active phase, once, and not what has ended", () => {
    for (const verifying of [false, true]) {
      const app = new BenchApp();
      app.deploy();
      const { rollout } = value(release(app));
      app.grantAll();
      if (verifying) app.observe(app.of(2), { kind: "ready" });
      const input = { ...as(null), command: "cancel" as const, rollout: rollout!.id };
      expect(value(app.take({ kind: "controlRollout", input })).phase).toBe("cancelled");
      expect(value(app.take({ kind: "controlRollout", input })).phase).toBe("cancelled");
      expect(app.tables.route.get("route")!.route.state).toMatchObject({ releases: [{ version: 1, weight: 100 }] });
      const [first] = app.tables.rollouts.values();
      expect(
        app.take({ kind: "controlRollout", input: { ...as(null), command: "cancel", rollout: first!.id } }),
      ).toMatchObject({
        failure: { code: "rollout_not_active" },
      });
    }
  });

  it("answers a repeated key the same with one effect, and refuses another body under it for a day", () => {
    const app = new BenchApp();
    const first = release(app, "k");
    app.bringUp();
    expect(release(app, "k")).toEqual(first);
    expect(app.tables.releases.size).toBe(1);
    expect(release(app, "k", { port: 81 })).toMatchObject({ failure: { code: "idempotency_key_reused" } });
    expect(app.take({ kind: "restart", input: as("k") })).toMatchObject({
      failure: { code: "idempotency_key_reused" },
    });
    app.nowMs += app.limits.idempotencyTtlMs;
    expect(value(release(app, "k")).release?.version).toBe(2);
  });

  it("holds sealed values against the request's hash, because they differ at each try", () => {
    const app = new BenchApp();
    const change = (sealed: string, requestHash: string) =>
      app.take({ kind: "changeEnvironment", input: { ...as("k"), requestHash, set: { A: sealed }, unset: [] } });
    const first = change("one", "h1");
    expect(change("two", "h1")).toEqual(first);
    expect(change("two", "h2")).toMatchObject({ failure: { code: "idempotency_key_reused" } });
    expect(app.tables.environments.get("draft")).toEqual({ A: "one" });
  });

  it("keeps a bounded number of keys, releases and events", () => {
    const app = new BenchApp({ idempotencyKeysMax: 3, releasesKept: 4, eventsKept: 10 });
    for (let n = 0; n < 8; n += 1) {
      value(release(app, `k${n}`));
      app.bringUp();
      app.nowMs += app.limits.drainMs + 1;
      app.tick();
      app.grantAll();
      app.take({ kind: "outbox_acked", lastSeq: app.tables.counters.get("counters")!.eventSeq });
    }
    expect(app.tables.idempotency.size).toBe(3);
    expect(app.tables.releases.size).toBe(4);
    expect(app.tables.events.size).toBeLessThanOrEqual(10);
    expect(app.tables.environments.size).toBeLessThanOrEqual(5);
  });

  it("refuses more variables than a row can hold", () => {
    const app = new BenchApp();
    const set = { BIG: "x".repeat(app.limits.environmentBytesMax) };
    expect(app.take({ kind: "changeEnvironment", input: { ...as(null), set, unset: [] } })).toMatchObject({
      failure: { code: "invalid_request" },
    });
  });

  it("claims its hostnames, and gives everything back when destroyed", () => {
    const app = new BenchApp();
    app.take({ kind: "host_claimed", hostname: "web.lab.test", ok: true });
    app.deploy({}, 2);
    expect(value(app.take({ kind: "destroy", input: as(null) })).status).toBe("destroyed");
    expect(app.tables.route.get("route")!.route.state).toEqual({ kind: "unavailable", reason: "destroyed" });
    expect(app.drain("release_host").map((effect) => effect.hostname)).toEqual(["web.lab.test"]);
    expect(app.grantAll()).toContain("update");
    expect(app.tables.app.get("app")!.phase).toBe("destroying");
    app.take({ kind: "host_released", hostname: "web.lab.test" });
    expect(app.tables.app.get("app")!.phase).toBe("destroyed");
    expect(release(app)).toMatchObject({ failure: { code: "gone" } });
  });

  it("answers not_found before it was created", () => {
    const app = new BenchApp();
    app.tables.app.clear();
    expect(app.take({ kind: "read", input: {} })).toMatchObject({ failure: { code: "not_found" } });
    expect(app.take({ kind: "route", input: {} })).toMatchObject({ failure: { code: "not_found" } });
  });
});
