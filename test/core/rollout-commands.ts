// What may happen to an app in any order: releases, instances that come, fall ill and go, answers, counts, words of people, time.
import fc from "fast-check";
import { expect } from "vitest";
import { ROLLOUT_COMMANDS, RolloutPlan, type RolloutCommand } from "../../contracts/rollout-plan.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import { isActive } from "../../core/rollout/types.ts";
import type { InstanceRow } from "../../core/app/types.ts";
import { as, spec, type BenchApp } from "./bench-object.ts";
import { activeOf, hold, keyOf, type Model } from "./rollout-model.ts";

type Step = fc.Command<Model, BenchApp>;

/** Grants what is asked, and holds the model to what came of it. */
const step = (name: string, run: (app: BenchApp, model: Model) => void): Step => ({
  check: () => true,
  run: (model, app) => {
    run(app, model);
    hold(model, app);
    app.grantAll();
    hold(model, app);
  },
  toString: () => name,
});

const live = (app: BenchApp): InstanceRow[] =>
  [...app.tables.instances.values()].filter(({ phase }) => phase.kind === "running" || phase.kind === "draining");
const some = <Item>(items: readonly Item[], at: number): Item[] =>
  items.length > 0 ? [items[at % items.length]!] : [];
const FAILURE = { code: "exited" as const, message: "exit 1", exitCode: 1, signal: null, logTail: [] };

const planOf = fc.record({
  strategy: fc.oneof(
    fc.record({
      kind: fc.constant("rolling" as const),
      maxSurge: fc.constantFrom(1, 2, "100%"),
      maxUnavailable: fc.constantFrom(0, 1),
      pauseMs: fc.constantFrom(0, 10_000),
    }),
    fc.record({
      kind: fc.constant("blue_green" as const),
      promote: fc.constantFrom("automatic" as const, "manual" as const),
      watchMs: fc.constantFrom(0, 20_000),
      warmMs: fc.constantFrom(0, 120_000),
    }),
    fc.record({
      kind: fc.constant("canary" as const),
      steps: fc.constantFrom(
        [{ weight: 10 }],
        [{ weight: 5, durationMs: 20_000 }, { weight: 50 }],
        [
          { weight: 25, durationMs: 5_000 },
          { weight: 75, durationMs: 5_000 },
        ],
      ),
    }),
    fc.record({ kind: fc.constant("immediate" as const) }),
  ),
  analysis: fc.constantFrom(null, {}, { noTraffic: "pass" as const }),
  smoke: fc.constantFrom(undefined, undefined, { path: "/health" }),
  before: fc.constantFrom(undefined, undefined, { command: ["migrate"], timeoutMs: 30_000 }),
  after: fc.constantFrom(undefined, undefined, { command: ["tell"], timeoutMs: 30_000 }),
});

const released = planOf.map((input) =>
  step(`release ${JSON.stringify(input)}`, (app) => {
    const plan = RolloutPlan.parse(JSON.parse(JSON.stringify(input)));
    app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(), privateImage: false, plan } });
  }),
);

/** One or all of those that nobody saw yet, or that were ill. */
const cameUp = fc.tuple(fc.nat(20), fc.boolean()).map(([at, all]) =>
  step(`${all ? "all are" : `${at} is`} ready`, (app) => {
    const waiting = live(app).filter(({ job, observed, nodeGone }) => !job && !nodeGone && observed?.kind !== "ready");
    const chosen = all ? waiting : some(waiting, at);
    if (chosen.length > 0) app.observe(idsOf(chosen), { kind: "ready" });
  }),
);

const idsOf = (rows: readonly InstanceRow[]): InstanceId[] => rows.map(({ id }) => id);

/** crash: it comes again by itself. */
const fellIll = fc.tuple(fc.nat(20), fc.constantFrom("unready", "backoff", "failed", "lost")).map(([at, how]) =>
  step(`${at} is ${how}`, (app, model) => {
    const [row] = some(
      live(app).filter(({ job, observed }) => !job && observed?.kind === "ready"),
      at,
    );
    if (!row) return;
    model.isHurt = true;
    if (how === "unready") app.observe([row.id], { kind: "unready", failure: FAILURE });
    else if (how === "failed") app.observe([row.id], { kind: "failed", failure: FAILURE });
    else if (how === "backoff") app.observe([row.id], { kind: "backoff", failure: FAILURE, retryAtMs: app.nowMs });
    else app.tell({ kind: "node_gone", node: row.placement!.node, instances: [row.id] });
    // Nobody is sent to it before it is replaced: what follows within the same step follows from it.
    hold(model, app);
    model.isHurt = true;
  }),
);

/** Of whoever is asked: all answer, or nobody, or not as the smoke check wants. */
const asked = fc.constantFrom("ok", "ok", "ok", "nothing", "smoke").map((how) =>
  step(`the verifier hears ${how}`, (app, model) => {
    for (const { rollout, instances } of app.drain("verify")) {
      const results = instances.map((instance) => {
        const row = app.tables.instances.get(instance)!;
        const ok = how === "ok";
        if (ok) model.answered.add(keyOf(row));
        const smoke = how === "smoke" ? { smoke: true } : {};
        return { instance, generation: row.generation, ok, message: ok ? "" : "no", ...smoke };
      });
      app.take({ kind: "verified", input: { rollout, results } });
    }
  }),
);

const ranOnce = fc.constantFrom(0, 0, 0, 3, null).map((exitCode) =>
  step(`the command ends with ${exitCode}`, (app) => {
    const jobs = live(app).filter(({ job, phase }) => job && phase.kind === "running");
    if (jobs.length > 0) app.observe(idsOf(jobs), { kind: "stopped", exitCode });
  }),
);

const COUNTED: { requests: number; errors: number } = { requests: 0, errors: 0 };
const totals = new WeakMap<BenchApp, Map<InstanceId, typeof COUNTED>>();

/** What gateways counted: of the newest release with a tenth of errors, or none. */
const counts = fc.tuple(fc.integer({ min: 1, max: 400 }), fc.boolean()).map(([requests, isBad]) =>
  step(`${requests} requests each, ${isBad ? "a tenth bad" : "all good"}`, (app) => {
    const to = activeOf(app)?.to.release;
    const known = totals.get(app) ?? new Map<InstanceId, typeof COUNTED>();
    totals.set(app, known);
    const items = live(app).map(({ id, generation, release }) => {
      const { team, app: name } = app.tables.app.get("app")!;
      const sum = { ...(known.get(id) ?? COUNTED) };
      sum.requests += requests;
      if (isBad && release === to) sum.errors += Math.ceil(requests / 10);
      known.set(id, sum);
      const status = { s1xx: 0, s2xx: sum.requests - sum.errors, s3xx: 0, s4xx: 0, s5xx: sum.errors };
      const idle = { runningMs: 0, cpuMs: 0, memoryByteMs: 0, bytesIn: 0, bytesOut: 0, latency: [] };
      return { instance: id, generation, app: name, team, release, requests: sum.requests, status, ...idle };
    });
    app.take({ kind: "counted", input: { cell: [...app.tables.cells.keys()][0] as never, items } });
  }),
);

const said = fc
  .tuple(
    fc.constantFrom<RolloutCommand>(...ROLLOUT_COMMANDS, "promote", "promote", "resume"),
    fc.constantFrom(undefined, 0, 1),
    fc.boolean(),
  )
  .map(([command, behind, full]) =>
    step(`${command}${full ? " fully" : ""}${behind === undefined ? "" : ` by an ETag ${behind} behind`}`, (app) => {
      const row = [...app.tables.rollouts.values()].at(-1)!;
      const etag = behind === undefined ? {} : { ifRevision: (row.revision ?? 0) - behind };
      const all = full && command === "promote" ? { full } : {};
      const reply = app.take({
        kind: "controlRollout",
        input: { ...as(null), rollout: row.id, command, ...all, ...etag },
      });
      if (behind === 1 && isActive(row.phase)) {
        expect(reply).toMatchObject({ ok: false, failure: { code: "precondition_failed" } });
      }
    }),
  );

const passed = fc.constantFrom(1, 2_000, 10_000, 60_000, 600_000).map((ms) =>
  step(`${ms} ms pass`, (app, model) => {
    const untilMs = app.nowMs + ms;
    while (app.nowMs < untilMs) {
      app.tick(Math.min(untilMs, Math.max(app.nowMs + 1, app.wakeAtMs ?? untilMs)) - app.nowMs);
      app.grantAll();
      hold(model, app);
    }
  }),
);

const wentBack = fc.constant(step("rollback", (app) => void app.take({ kind: "rollback", input: as(null) })));
const restarted = fc.constant(
  step("the object restarts", (app) => {
    app.restart();
    app.tick();
  }),
);
const scaled = fc
  .integer({ min: 0, max: 6 })
  .map((replicas) =>
    step(`scale to ${replicas}`, (app) => void app.take({ kind: "scale", input: { ...as(null), replicas } })),
  );
const split = fc.integer({ min: 1, max: 99 }).map((weight) =>
  step(`split ${weight}`, (app) => {
    const versions = [...app.tables.releases.values()].map(({ release }) => release.version).slice(-2);
    if (versions.length < 2) return;
    const weights = [
      { version: versions[0]!, weight },
      { version: versions[1]!, weight: 100 - weight },
    ];
    app.take({ kind: "setTraffic", input: { ...as(null), weights, force: weight % 2 === 0 } });
  }),
);

/** What brings a rollout on comes more often than what stops it. */
export const STEPS = [
  released,
  ...[cameUp, cameUp, cameUp, asked, asked, asked, passed, passed, counts, ranOnce, ranOnce],
  ...[said, said, fellIll, wentBack, restarted, scaled, split],
];
