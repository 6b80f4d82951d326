// What customers may ask of an app's running state: a release, a rollback, another size, a restart, other variables, a cancel.
import type { Accepted } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import type { ReleaseId } from "../../contracts/ids.ts";
import type { Release, ReleaseSpec } from "../../contracts/release.ts";
import { ok, refuse } from "../results.ts";
import type { RolloutPlan } from "../../contracts/rollout-plan.ts";
import { DEFAULT_PLAN, type RolloutReason, type Share, type Target } from "../rollout/types.ts";
import { activeRollout, appOf, changeApp, count, countersOf, emit, type AppContext } from "./context.ts";
import { policyOf } from "./policy.ts";
import { unfitFault, unpreparedFault } from "./fitness.ts";
import { AT_ONCE, strategyFault, suited, takesItsTime } from "./plans.ts";
import { cohortOf, recall } from "./recall.ts";
import { draftOf, takeSnapshot, unresolvedFault } from "./references.ts";
import { earlierRelease } from "./releases.ts";
import { asideOf, resize } from "./resize.ts";
import { startRollout } from "./rollouts.ts";
import type { AppInputs, ReleaseRow, Resolved, SealedEnvironment } from "./types.ts";
import { rolloutView } from "./views.ts";

/** What the app is or is becoming: what a scale, a restart or new variables build upon. */
const intended = (ctx: AppContext): Target | null => activeRollout(ctx)?.to ?? appOf(ctx).current;

export function acceptRelease(ctx: AppContext, input: AppInputs["acceptRelease"]): Result<Accepted> {
  const replicas = input.replicas ?? intended(ctx)?.replicas ?? appOf(ctx).replicas;
  const unresolved = unresolvedFault(ctx.draft.get("environments", "draft") ?? {}, input.resolved);
  const fault = replicasFault(input.spec, replicas) ?? strategyFault(ctx, input.spec, input.plan) ?? unresolved;
  if (fault) return fault;
  const plan = suited(ctx, input.spec, input.plan ?? appOf(ctx).plan ?? DEFAULT_PLAN);
  changeApp(ctx, { replicas, ...(input.plan ? { plan: input.plan } : {}) });
  const release = makeRelease(ctx, { ...input, digest: input.digest ?? null, message: input.message ?? null, plan });
  return roll(ctx, { reason: "release", release, replicas, plan, actor: input.actor, deadlineMs: input.deadlineMs });
}

/** A singleton is at most one instance, ever (invariant 4). */
function replicasFault(spec: ReleaseSpec, replicas: number): Result<never> | null {
  if (policyOf(spec).singleton === undefined || replicas <= 1) return null;
  const message = `The release is a singleton (placement.singleton): it has at most 1 replica, not ${replicas}. Ask for 1, or leave the mark out.`;
  const errors = [{ pointer: "/replicas", rule: "singleton", message }];
  return { ok: false, failure: { code: "unprocessable", message, errors } };
}

interface Made {
  readonly spec: ReleaseSpec;
  readonly privateImage: boolean;
  /** null: what the reference means where it is first pulled. */
  readonly digest: string | null;
  readonly message: string | null;
  readonly plan: RolloutPlan;
  readonly resolved?: Resolved | undefined;
}

/** The next version: spec and environment as they are now, never changed again. */
function makeRelease(ctx: AppContext, made: Made): Release {
  const { spec, privateImage, digest, message, plan, resolved = {} } = made;
  const environment = ctx.draft.get("environments", "draft") ?? {};
  const version = countersOf(ctx).releaseVersion + 1;
  const release: Release = {
    id: ctx.mint<ReleaseId>("rel"),
    version,
    spec,
    envNames: Object.keys(environment).sort(),
    digest,
    message,
    createdAtMs: ctx.nowMs,
    createdBy: ctx.actor,
  };
  count(ctx, { releaseVersion: version });
  const { before, smoke } = plan;
  const checks = { ...(before ? { prepared: false } : {}), ...(smoke ? { smoke } : {}) };
  ctx.draft.put("releases", release.id, { release, privateImage, completed: false, ...checks });
  takeSnapshot(ctx, release.id, environment, resolved);
  emit(ctx, { type: "release.created", subject: release.id, data: { release } });
  return release;
}

interface Roll {
  readonly reason: RolloutReason;
  readonly release: Release;
  readonly replicas: number;
  readonly plan: RolloutPlan;
  readonly actor: string;
  readonly deadlineMs?: number;
  /** The cohort whose instances count; a new one unless given. */
  readonly cohort?: string;
  readonly toAside?: readonly Share[];
  readonly forced?: boolean;
}

function roll(ctx: AppContext, { release, replicas, cohort, ...start }: Roll): Result<Accepted> {
  const to = { release: release.id, version: release.version, replicas, cohort: cohort ?? ctx.mint("cohort") };
  const rollout = startRollout(ctx, { ...start, to });
  recall(ctx, to);
  return ok({ app: appOf(ctx).app, release, rollout: rolloutView(ctx, rollout) });
}

/**
 * Without a version: undo what is being rolled out, else the newest older release that once completed. What still runs of it, warm or
 * serving out its drain, is called back.
 */
export function rollback(ctx: AppContext, input: AppInputs["rollback"]): Result<Accepted> {
  const { app, current, aside = [] } = appOf(ctx);
  const active = activeRollout(ctx);
  const isOther = active && (active.to.release !== current?.release || active.reason === "traffic");
  const undone = isOther ? current : null;
  const chosen = chooseRelease(ctx, input.version ?? undone?.version, current);
  if (!chosen.ok) return chosen;
  const { release } = chosen.value;
  const unfit = input.version === undefined ? null : unfitFault(ctx, chosen.value, input.force ?? false);
  if (unfit) return unfit;
  const before = current?.replicas ?? appOf(ctx).replicas;
  const replicas = policyOf(release.spec).singleton ? Math.min(1, before) : before;
  ctx.draft.put("environments", "draft", draftOf(ctx, release.id));
  const { actor, force: forced } = input;
  const start = { reason: "rollback" as const, release, replicas, plan: AT_ONCE, actor, forced };
  if (release.id === current?.release) {
    // What served beside it does so again, unless this version alone was asked for.
    const toAside = input.version === undefined ? aside : [];
    if (!active && toAside.length === aside.length) return ok({ app, release, rollout: null });
    return roll(ctx, { ...start, cohort: current.cohort, toAside });
  }
  return roll(ctx, { ...start, cohort: cohortOf(ctx, release.id) ?? undefined });
}

function chooseRelease(ctx: AppContext, version: number | undefined, current: Target | null): Result<ReleaseRow> {
  if (version !== undefined) {
    for (const row of ctx.draft.values("releases")) if (row.release.version === version) return ok(row);
    return refuse("not_found", `v${version} is not kept.`);
  }
  const best = earlierRelease(ctx, current);
  return best
    ? ok(best)
    : refuse(
        "nothing_to_roll_back",
        `There is no earlier release that ever had all of the traffic${current ? `: v${current.version} serves` : ""}. Any kept one can be named.`,
      );
}

export function scale(ctx: AppContext, { replicas, actor }: AppInputs["scale"]): Result<Accepted> {
  const { app, current, aside = [] } = appOf(ctx);
  const active = activeRollout(ctx);
  const isSlow = active !== null && takesItsTime(active);
  // What is not yet let have all of the traffic does not get it by a scale.
  const target = isSlow && current && replicas === 0 ? current : intended(ctx);
  const before = target?.replicas ?? appOf(ctx).replicas;
  const spec = target && ctx.draft.get("releases", target.release)?.release.spec;
  const tooMany = spec ? replicasFault(spec, replicas) : null;
  if (tooMany) return tooMany;
  const unprepared = replicas === 0 && target ? unpreparedFault(ctx, target) : null;
  if (unprepared) return unprepared;
  changeApp(ctx, { replicas });
  if (before !== replicas) emit(ctx, { type: "app.scaled", subject: app, data: { from: before, to: replicas } });
  const release = target ? ctx.draft.get("releases", target.release)?.release : undefined;
  if (!target || !release) return ok({ app, release: null, rollout: null });
  if (before === replicas) return ok({ app, release, rollout: active ? rolloutView(ctx, active) : null });
  if (isSlow && replicas > 0) {
    const resized = resize(ctx, active, replicas);
    return ok({ app, release, rollout: rolloutView(ctx, resized) });
  }
  const toAside = target === current ? asideOf(aside, replicas) : asideOf(active?.toAside ?? [], replicas);
  return roll(ctx, { reason: "scale", release, replicas, plan: AT_ONCE, actor, cohort: target.cohort, toAside });
}

export function restart(ctx: AppContext, { actor }: AppInputs["restart"]): Result<Accepted> {
  const { aside = [], plan } = appOf(ctx);
  const target = intended(ctx);
  const release = target ? ctx.draft.get("releases", target.release)?.release : undefined;
  if (!target || !release) return refuse("no_release", "The app has no release that could be restarted.");
  const active = activeRollout(ctx);
  if (active && takesItsTime(active)) {
    const message = `v${active.to.version} is being rolled out step by step (${active.phase.kind}): promote, abort or cancel that first.`;
    return refuse("conflict", message);
  }
  emit(ctx, { type: "app.restarted", subject: appOf(ctx).app, data: { version: release.version } });
  const rolling: RolloutPlan = {
    strategy: plan?.strategy.kind === "rolling" ? plan.strategy : DEFAULT_PLAN.strategy,
    analysis: null,
    ...(plan?.smoke ? { smoke: plan.smoke } : {}),
  };
  const toAside = (active ? (active.toAside ?? []) : aside).map((share) => {
    return { ...share, target: { ...share.target, cohort: ctx.mint<string>("cohort") } };
  });
  return roll(ctx, { reason: "restart", release, replicas: target.replicas, plan: rolling, actor, toAside });
}

export function changeEnvironment(ctx: AppContext, input: AppInputs["changeEnvironment"]): Result<Accepted> {
  const environment: Record<string, string> = { ...(ctx.draft.get("environments", "draft") ?? {}), ...input.set };
  for (const name of input.unset) delete environment[name];
  const tooMuch = sizeFault(ctx, environment);
  if (tooMuch) return refuse("invalid_request", tooMuch);
  const { app } = appOf(ctx);
  const target = intended(ctx);
  const base = target ? ctx.draft.get("releases", target.release) : undefined;
  const unresolved = base ? unresolvedFault(environment, input.resolved) : null;
  if (unresolved) return unresolved;
  ctx.draft.put("environments", "draft", environment);
  const data = { set: Object.keys(input.set).sort(), unset: [...input.unset].sort() };
  emit(ctx, { type: "app.environment_changed", subject: app, data });
  if (!target || !base) return ok({ app, release: null, rollout: null });
  // The same image with other variables: not whatever its tag has come to mean, which nobody looked at.
  const { spec, digest } = base.release;
  const { privateImage } = base;
  const plan = suited(ctx, spec, appOf(ctx).plan ?? DEFAULT_PLAN);
  const { resolved } = input;
  const message = "Variables changed";
  const release = makeRelease(ctx, { spec, privateImage, digest, message, plan, resolved });
  return roll(ctx, { reason: "environment", release, replicas: target.replicas, plan, actor: input.actor });
}

function sizeFault({ limits }: AppContext, environment: SealedEnvironment): string | null {
  const names = Object.keys(environment);
  if (names.length > limits.environmentNamesMax) return `An app has at most ${limits.environmentNamesMax} variables.`;
  const bytes = names.reduce((sum, name) => sum + name.length + environment[name]!.length, 0);
  if (bytes <= limits.environmentBytesMax) return null;
  return `The sealed variables take ${bytes} bytes; at most ${limits.environmentBytesMax} are kept.`;
}
