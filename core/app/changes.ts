// What customers may ask of an app's running state: a release, a rollback, another size, a restart, other variables, a cancel.
import type { Accepted, Rollout } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import type { ReleaseId } from "../../contracts/ids.ts";
import type { Release, ReleaseSpec } from "../../contracts/release.ts";
import { ok, refuse } from "../results.ts";
import type { RolloutReason, Target } from "../rollout/types.ts";
import { activeRollout, appOf, changeApp, count, countersOf, emit, type AppContext } from "./context.ts";
import { policyOf } from "./policy.ts";
import { earlierRelease } from "./releases.ts";
import { cancelActive, startRollout } from "./rollouts.ts";
import type { AppInputs, ReleaseRow, SealedEnvironment } from "./types.ts";
import { rolloutView } from "./views.ts";

/** What the app is or is becoming: what a scale, a restart or new variables build upon. */
const intended = (ctx: AppContext): Target | null => activeRollout(ctx)?.to ?? appOf(ctx).current;

export function acceptRelease(ctx: AppContext, input: AppInputs["acceptRelease"]): Result<Accepted> {
  const replicas = input.replicas ?? intended(ctx)?.replicas ?? appOf(ctx).replicas;
  const tooMany = replicasFault(input.spec, replicas);
  if (tooMany) return tooMany;
  changeApp(ctx, { replicas });
  const made = makeRelease(ctx, input.spec, input.privateImage, input.message ?? null);
  return roll(ctx, { reason: "release", release: made, replicas, actor: input.actor, deadlineMs: input.deadlineMs });
}

/** A singleton is at most one instance, ever (invariant 4). */
function replicasFault(spec: ReleaseSpec, replicas: number): Result<never> | null {
  if (policyOf(spec).singleton === undefined || replicas <= 1) return null;
  const message = `The release is a singleton (placement.singleton): it has at most 1 replica, not ${replicas}. Ask for 1, or leave the mark out.`;
  const errors = [{ pointer: "/replicas", rule: "singleton", message }];
  return { ok: false, failure: { code: "unprocessable", message, errors } };
}

/** The next version: spec and environment as they are now, never changed again. */
function makeRelease(ctx: AppContext, spec: ReleaseSpec, privateImage: boolean, message: string | null): Release {
  const environment = ctx.draft.get("environments", "draft") ?? {};
  const version = countersOf(ctx).releaseVersion + 1;
  const release: Release = {
    id: ctx.mint<ReleaseId>("rel"),
    version,
    spec,
    envNames: Object.keys(environment).sort(),
    digest: null,
    message,
    createdAtMs: ctx.nowMs,
    createdBy: ctx.actor,
  };
  count(ctx, { releaseVersion: version });
  ctx.draft.put("releases", release.id, { release, privateImage, completed: false });
  ctx.draft.put("environments", release.id, environment);
  emit(ctx, { type: "release.created", subject: release.id, data: { release } });
  return release;
}

interface Roll {
  readonly reason: RolloutReason;
  readonly release: Release;
  readonly replicas: number;
  readonly actor: string;
  readonly deadlineMs?: number;
  /** The cohort whose instances count; a new one unless given. */
  readonly cohort?: string;
}

function roll(ctx: AppContext, { reason, release, replicas, actor, deadlineMs, cohort }: Roll): Result<Accepted> {
  const to = { release: release.id, version: release.version, replicas, cohort: cohort ?? ctx.mint("cohort") };
  const rollout = startRollout(ctx, { reason, to, actor, deadlineMs });
  return ok({ app: appOf(ctx).app, release, rollout: rolloutView(ctx, rollout) });
}

/** Without a version: undo what is being rolled out, else the newest older release that once completed. */
export function rollback(ctx: AppContext, input: AppInputs["rollback"]): Result<Accepted> {
  const { current } = appOf(ctx);
  const active = activeRollout(ctx);
  const undone = active && active.to.release !== current?.release ? current : null;
  const chosen = chooseRelease(ctx, input.version ?? undone?.version, current);
  if (!chosen.ok) return chosen;
  const { release } = chosen.value;
  ctx.draft.put("environments", "draft", ctx.draft.get("environments", release.id) ?? {});
  const before = current?.replicas ?? appOf(ctx).replicas;
  const replicas = policyOf(release.spec).singleton ? Math.min(1, before) : before;
  if (release.id === current?.release) {
    if (!active) return ok({ app: appOf(ctx).app, release, rollout: null });
    return roll(ctx, { reason: "rollback", release, replicas, actor: input.actor, cohort: current.cohort });
  }
  return roll(ctx, { reason: "rollback", release, replicas, actor: input.actor });
}

function chooseRelease(ctx: AppContext, version: number | undefined, current: Target | null): Result<ReleaseRow> {
  if (version !== undefined) {
    for (const row of ctx.draft.values("releases")) if (row.release.version === version) return ok(row);
    return refuse("not_found", `v${version} is not kept.`);
  }
  const best = earlierRelease(ctx, current);
  return best ? ok(best) : refuse("nothing_to_roll_back", "There is no earlier release that ever served.");
}

export function scale(ctx: AppContext, { replicas, actor }: AppInputs["scale"]): Result<Accepted> {
  const { app } = appOf(ctx);
  const target = intended(ctx);
  const before = target?.replicas ?? appOf(ctx).replicas;
  const spec = target && ctx.draft.get("releases", target.release)?.release.spec;
  const tooMany = spec ? replicasFault(spec, replicas) : null;
  if (tooMany) return tooMany;
  changeApp(ctx, { replicas });
  if (before !== replicas) emit(ctx, { type: "app.scaled", subject: app, data: { from: before, to: replicas } });
  const release = target ? ctx.draft.get("releases", target.release)?.release : undefined;
  if (!target || !release) return ok({ app, release: null, rollout: null });
  if (before === replicas) {
    const active = activeRollout(ctx);
    return ok({ app, release, rollout: active ? rolloutView(ctx, active) : null });
  }
  return roll(ctx, { reason: "scale", release, replicas, actor, cohort: target.cohort });
}

export function restart(ctx: AppContext, { actor }: AppInputs["restart"]): Result<Accepted> {
  const target = intended(ctx);
  const release = target ? ctx.draft.get("releases", target.release)?.release : undefined;
  if (!target || !release) return refuse("no_release", "The app has no release that could be restarted.");
  emit(ctx, { type: "app.restarted", subject: appOf(ctx).app, data: { version: release.version } });
  return roll(ctx, { reason: "restart", release, replicas: target.replicas, actor });
}

export function changeEnvironment(ctx: AppContext, input: AppInputs["changeEnvironment"]): Result<Accepted> {
  const environment: Record<string, string> = { ...(ctx.draft.get("environments", "draft") ?? {}), ...input.set };
  for (const name of input.unset) delete environment[name];
  const tooMuch = sizeFault(ctx, environment);
  if (tooMuch) return refuse("invalid_request", tooMuch);
  const { app } = appOf(ctx);
  ctx.draft.put("environments", "draft", environment);
  const data = { set: Object.keys(input.set).sort(), unset: [...input.unset].sort() };
  emit(ctx, { type: "app.environment_changed", subject: app, data });
  const target = intended(ctx);
  const base = target ? ctx.draft.get("releases", target.release) : undefined;
  if (!target || !base) return ok({ app, release: null, rollout: null });
  const release = makeRelease(ctx, base.release.spec, base.privateImage, "Variables changed");
  return roll(ctx, { reason: "environment", release, replicas: target.replicas, actor: input.actor });
}

function sizeFault({ limits }: AppContext, environment: SealedEnvironment): string | null {
  const names = Object.keys(environment);
  if (names.length > limits.environmentNamesMax) return `An app has at most ${limits.environmentNamesMax} variables.`;
  const bytes = names.reduce((sum, name) => sum + name.length + environment[name]!.length, 0);
  if (bytes <= limits.environmentBytesMax) return null;
  return `The sealed variables take ${bytes} bytes; at most ${limits.environmentBytesMax} are kept.`;
}

export function cancelRollout(ctx: AppContext, input: AppInputs["cancelRollout"]): Result<Rollout> {
  const row = ctx.draft.get("rollouts", input.rollout);
  if (!row) return refuse("not_found", "The app has no such rollout.");
  if (appOf(ctx).rollout !== row.id) {
    if (row.phase.kind === "cancelled") return ok(rolloutView(ctx, row));
    return refuse("rollout_not_active", `The rollout is ${row.phase.kind}.`);
  }
  cancelActive(ctx);
  return ok(rolloutView(ctx, ctx.draft.get("rollouts", input.rollout) ?? row));
}
