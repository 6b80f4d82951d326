// What an App holds of its team's quota: no more than it was granted, and a grant counts once.
import { describe, expect, it } from "vitest";
import type { Grant } from "../../../contracts/quota.ts";
import { holdingOf } from "../../../core/quota/holding.ts";
import { as, BenchApp, spec, value } from "../bench-object.ts";

const LARGE = { cpuMilli: 1_000, memoryBytes: 1024 ** 3, diskBytes: 1024 ** 3, pids: 64 };
const of = (replicas: number, resources = LARGE) => holdingOf(replicas, resources);
const grant = (version: number, replicas: number): Grant => ({ version, amounts: of(replicas) });

const released = (replicas = 2) => {
  const app = new BenchApp();
  app.deploy({ resources: LARGE }, replicas);
  const scale = (to: number, granted: Grant | null, key: string | null = null) =>
    app.take({ kind: "scale", input: { ...as(key), replicas: to, grant: granted } });
  const holding = (seen: number) => value(app.take({ kind: "holding", input: { seen } }));
  return { app, scale, holding };
};

describe("an App", () => {
  it("refuses to grow without a grant, says how much it needs, and keeps nothing of what was asked", () => {
    const { app, scale } = released(2);
    const before = JSON.stringify([...app.tables.app, ...app.tables.rollouts, ...app.tables.counters]);
    const refused = scale(5, null);
    expect(refused).toMatchObject({
      ok: false,
      failure: { code: "quota_exceeded", growth: { needs: of(5), holds: of(2) } },
    });
    expect(JSON.stringify([...app.tables.app, ...app.tables.rollouts, ...app.tables.counters])).toBe(before);
  });

  it("grows with a grant that is large enough, and not with one that is too small", () => {
    const { scale } = released(2);
    expect(scale(5, grant(1, 4)).ok).toBe(false);
    expect(value(scale(5, grant(1, 5))).held).toMatchObject({ amounts: of(5), version: 1, changed: true });
  });

  it("takes a grant once: what came too late, or was taken back meanwhile, grants nothing", () => {
    const { scale, holding } = released(2);
    expect(holding(7)).toMatchObject({ version: 7, amounts: of(2), settled: true });
    expect(scale(5, grant(7, 5)).ok).toBe(false);
    expect(scale(5, grant(8, 5)).ok).toBe(true);
    expect(value(scale(1, null)).held).toMatchObject({ amounts: of(2), settled: false });
    expect(scale(6, grant(8, 6)).ok).toBe(false);
  });

  it("shrinks and stays without a grant", () => {
    const { scale } = released(3);
    expect(value(scale(3, null)).held).toMatchObject({ changed: false, amounts: of(3) });
    expect(scale(0, null).ok).toBe(true);
  });

  it("asks for a first release's instances, and tells a release from the answer to an earlier request", () => {
    const app = new BenchApp({}, { replicas: 3 });
    const release = (granted: Grant | null) =>
      app.take({
        kind: "acceptRelease",
        input: { ...as("k"), spec: spec({ resources: LARGE }), privateImage: false, grant: granted },
      });
    expect(release(null)).toMatchObject({ failure: { growth: { needs: of(3), holds: of(0) } } });
    expect(value(release(grant(1, 3))).held).toMatchObject({ released: true, amounts: of(3), settled: true });
    expect(value(release(grant(2, 3))).held).toMatchObject({ released: false });
  });

  it("answers what it accepted before under the same key although nothing is left, and nothing else", () => {
    const { app } = released(1);
    const release = (key: string, unspent?: true) =>
      app.take({
        kind: "acceptRelease",
        input: {
          ...as(key),
          spec: spec({ resources: LARGE }),
          privateImage: false,
          grant: null,
          ...(unspent && { unspent }),
        },
      });
    const first = value(release("a"));
    expect(value(release("a", true)).release).toEqual(first.release);
    expect(release("b", true)).toMatchObject({ failure: { code: "quota_exceeded" } });
  });

  it("holds what it goes back to for as long as a smaller release is being rolled out", () => {
    const { app, holding } = released(2);
    const small = { ...LARGE, memoryBytes: 512 * 1024 ** 2 };
    app.take({
      kind: "acceptRelease",
      input: { ...as(null), spec: spec({ resources: small }), privateImage: false, grant: null },
    });
    expect(holding(0)).toMatchObject({ amounts: of(2), settled: false });
  });

  it("holds nothing once it is destroyed", () => {
    const { app, holding } = released(2);
    app.take({ kind: "destroy", input: as(null) });
    expect(holding(0)).toMatchObject({ amounts: of(0), settled: true });
  });

  it("counts nothing for a Worker that says nothing of grants", () => {
    const { app } = released(1);
    const scaled = value(app.take({ kind: "scale", input: { ...as(null), replicas: 50 } }));
    expect(scaled.held).toBeUndefined();
  });
});
