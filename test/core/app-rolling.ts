// An App on the bench as tests of rollouts drive it: releases with plans, instances that come up, answers, commands, weights.
import { expect } from "vitest";
import { instanceKey } from "../../contracts/desired.ts";
import { Route } from "../../contracts/route.ts";
import { RolloutPlan, type RolloutCommand } from "../../contracts/rollout-plan.ts";
import type { Accepted, Rollout } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import type { z } from "zod";
import type { Limits } from "../../core/limits.ts";
import type { RolloutRow } from "../../core/rollout/types.ts";
import { BenchApp, as, spec, value } from "./bench-object.ts";

export type PlanInput = z.input<typeof RolloutPlan>;
export const planOf = (plan: PlanInput): RolloutPlan => RolloutPlan.parse(plan);

/** An app that serves v1 with so many replicas. */
export function serving(replicas = 4, limits: Partial<Limits> = {}): BenchApp {
  const app = new BenchApp(limits);
  app.deploy({}, replicas);
  return app;
}

export const tryRelease = (app: BenchApp, plan?: PlanInput, more: Record<string, unknown> = {}): Result<Accepted> =>
  app.take({
    kind: "acceptRelease",
    input: { ...as(null), spec: spec(more), privateImage: false, ...(plan ? { plan: planOf(plan) } : {}) },
  });
export const release = (app: BenchApp, plan?: PlanInput, more: Record<string, unknown> = {}): Accepted =>
  value(tryRelease(app, plan, more));

export const newest = (app: BenchApp): RolloutRow => [...app.tables.rollouts.values()].at(-1)!;
export const viewOf = (app: BenchApp): Rollout =>
  value(app.take({ kind: "readRollout", input: { rollout: newest(app).id } }));

/** version → weight; and that the route is one (invariants 6 and 7 are checked wherever a test looks at weights). */
export function weights(app: BenchApp): Record<string, number> {
  const { route } = app.tables.route.get("route")!;
  const { state } = Route.parse(route);
  if (state.kind !== "serving") return {};
  expect(state.releases.reduce((sum, { weight }) => sum + weight, 0)).toBe(100);
  const found: Record<string, number> = {};
  for (const { version, weight, endpoints } of state.releases) {
    expect(weight === 0 || endpoints.length > 0).toBe(true);
    for (const { instance, generation } of endpoints) {
      expect(app.tables.instances.get(instance)).toMatchObject({ generation, observed: { kind: "ready" } });
    }
    found[`v${version}`] = weight;
  }
  return found;
}

/** Answers all calls, and lets all of the version that nobody saw yet become ready. Returns them. */
export function up(app: BenchApp, version: number): InstanceId[] {
  app.grantAll();
  const waiting = app.of(version).filter((id) => app.tables.instances.get(id)!.observed === null);
  if (waiting.length > 0) app.observe(waiting, { kind: "ready" });
  app.grantAll();
  return waiting;
}

/** The same, and whoever is asked answers. */
export function upAndAnswer(app: BenchApp, version: number): void {
  up(app, version);
  app.answerVerify();
  app.grantAll();
}

export const tryCommand = (
  app: BenchApp,
  command: RolloutCommand,
  more: { ifRevision?: number; reason?: string; rollout?: RolloutRow["id"] } = {},
): Result<Rollout> =>
  app.take({ kind: "controlRollout", input: { ...as(null), rollout: newest(app).id, command, ...more } });
export const command = (app: BenchApp, word: RolloutCommand, more: { reason?: string } = {}): Rollout =>
  value(tryCommand(app, word, more));

/** Lets time pass in steps, so that everything that wakes for it wakes. */
export function pass(app: BenchApp, ms: number): void {
  const untilMs = app.nowMs + ms;
  while (app.nowMs < untilMs) {
    const next = Math.min(untilMs, Math.max(app.nowMs + 1, app.wakeAtMs ?? untilMs));
    app.tick(next - app.nowMs);
    app.grantAll();
  }
}

export const keysOf = (app: BenchApp, ids: readonly InstanceId[]): string[] =>
  ids.map((instance) => instanceKey({ instance, generation: app.tables.instances.get(instance)!.generation }));
export const phasesOf = (app: BenchApp, ids: readonly InstanceId[]): string[] =>
  ids.map((id) => app.tables.instances.get(id)!.phase.kind);
