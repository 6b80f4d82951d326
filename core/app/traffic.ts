// A split of the traffic between releases by hand: `berth traffic v7=10 v6=90`.
import type { Accepted } from "../../contracts/api.ts";
import type { FieldError, Result } from "../../contracts/failures.ts";
import { RolloutPlan } from "../../contracts/rollout-plan.ts";
import { ok, refuse } from "../results.ts";
import { rolledAgain } from "../rollout/commands.ts";
import { stagesOf } from "../rollout/stages.ts";
import { planOf, type RolloutRow, type Share, type Target } from "../rollout/types.ts";
import { activeRollout, appOf, type AppContext } from "./context.ts";
import { unfitFault } from "./fitness.ts";
import { takesItsTime } from "./plans.ts";
import { policyOf } from "./policy.ts";
import { cohortOf, recall } from "./recall.ts";
import { lookAtRollout, startRollout, take } from "./rollouts.ts";
import { asideReplicas, servingShares, sharesOf } from "./split.ts";
import type { AppInputs, ReleaseRow } from "./types.ts";
import { rolloutView } from "./views.ts";

/** All that is to serve is there and has answered before any weight changes; then they change at once. Nobody judges it. */
const SWITCH = RolloutPlan.parse({ strategy: { kind: "blue_green", watchMs: 0, warmMs: 0 }, analysis: null });

interface Wish {
  readonly row: ReleaseRow;
  readonly weight: number;
  /** Where it was named. */
  readonly at: number;
}

export function setTraffic(ctx: AppContext, input: AppInputs["setTraffic"]): Result<Accepted> {
  const { current } = appOf(ctx);
  if (!current) return refuse("no_release", "Nothing serves yet: a first release has to come into service before.");
  const found = wishesOf(ctx, input.weights);
  if (!found.ok) return found;
  const wishes = found.value;
  const held = heldCanary(ctx, wishes);
  if (held) return setCanary(ctx, held, wishes, input.actor);
  const refused = underWay(ctx, wishes) ?? firstUnfit(ctx, wishes, input.force ?? false);
  if (refused) return refused;
  if (current.replicas === 0) {
    return refuse("unprocessable", "The app is scaled to zero: there is no traffic to split. Scale it up first.");
  }
  const [first, ...others] = wishes.toSorted(
    (a, b) =>
      b.weight - a.weight ||
      Number(b.row.release.id === current.release) - Number(a.row.release.id === current.release) ||
      b.row.release.version - a.row.release.version,
  ) as [Wish, ...Wish[]];
  const to = targetFor(ctx, first, current.replicas);
  const toAside = others.map((wish) => {
    return { target: targetFor(ctx, wish, asideReplicas(wish.weight, current.replicas)), weight: wish.weight };
  });
  const { app } = appOf(ctx);
  if (!activeRollout(ctx) && isServed(servingShares(ctx), to, toAside)) {
    return ok({ app, release: first.row.release, rollout: null });
  }
  const { actor, force: forced } = input;
  const rollout = startRollout(ctx, { reason: "traffic", to, toAside, plan: SWITCH, actor, forced });
  for (const target of [to, ...toAside.map((share) => share.target)]) recall(ctx, target);
  return ok({ app, release: first.row.release, rollout: rolloutView(ctx, rollout) });
}

/** The same rules as at the API, for whoever asks the object itself. */
function wishesOf(ctx: AppContext, weights: AppInputs["setTraffic"]["weights"]): Result<Wish[]> {
  const fault = (message: string, rule: string, pointer = "/weights"): Result<never> => {
    const errors: FieldError[] = [{ pointer, rule, message }];
    return { ok: false, failure: { code: "unprocessable", message, errors } };
  };
  const total = weights.reduce((sum, { weight }) => sum + weight, 0);
  if (total !== 100) return fault(`The weights sum to ${total}, not to 100.`, "sum");
  if (new Set(weights.map(({ version }) => version)).size < weights.length) {
    return fault("The weights name a version twice.", "unique");
  }
  const wishes: Wish[] = [];
  for (const [at, { version, weight }] of weights.entries()) {
    if (!Number.isInteger(weight) || weight < 1) return fault("A weight is a whole number from 1 to 100.", "weight");
    const row = [...ctx.draft.values("releases")].find(({ release }) => release.version === version);
    if (!row) return refuse("not_found", `v${version} is not kept, or never was.`);
    if (policyOf(row.release.spec).singleton) {
      const message = `v${version} is a singleton (placement.singleton): its traffic cannot be split. Roll back or deploy instead.`;
      return fault(message, "singleton", `/weights/${at}/version`);
    }
    wishes.push({ row, weight, at });
  }
  return ok(wishes);
}

/** A rollout is not ended by the way: only by whoever says what becomes of both its sides. */
function underWay(ctx: AppContext, wishes: readonly Wish[]): Result<never> | null {
  const active = activeRollout(ctx);
  if (!active || active.reason === "traffic") return null;
  const { from, fromAside, to, phase } = active;
  if (from?.release === to.release && !takesItsTime(active)) return null;
  const wanted = new Set(wishes.map(({ row }) => row.release.id));
  const known = [...sharesOf(from, fromAside).map(({ target }) => target.release), to.release];
  const namesBoth = wanted.has(to.release) && (!from || wanted.has(from.release));
  if (phase.kind !== "preparing" && namesBoth && [...wanted].every((id) => known.includes(id))) return null;
  const both = from && from.release !== to.release ? `, or split between v${from.version} and v${to.version}` : "";
  const what = `v${to.version} is being rolled out (${planOf(active).strategy.kind.replace("_", "-")}, ${phase.kind})`;
  return refuse("conflict", `${what}: promote, abort or cancel that first${phase.kind === "preparing" ? "" : both}.`);
}

function firstUnfit(ctx: AppContext, wishes: readonly Wish[], force: boolean): Result<never> | null {
  const serving = new Set(servingShares(ctx).map(({ target }) => target.release));
  for (const { row, at } of wishes) {
    const unfit = serving.has(row.release.id) ? null : unfitFault(ctx, row, force, `/weights/${at}/version`);
    if (unfit) return unfit;
  }
  return null;
}

/** What runs already keeps its instances. */
function targetFor(ctx: AppContext, { row }: Wish, replicas: number): Target {
  const { id, version } = row.release;
  return { release: id, version, replicas, cohort: cohortOf(ctx, id) ?? ctx.mint("cohort") };
}

const isServed = (serving: readonly Share[], to: Target, toAside: readonly Share[]): boolean => {
  const text = (shares: readonly Share[]): string =>
    shares
      .map(({ target, weight }) => `${target.cohort}=${weight}`)
      .sort()
      .join();
  const rest = toAside.reduce((sum, { weight }) => sum + weight, 0);
  return text(serving) === text([{ target: to, weight: 100 - rest }, ...toAside]);
};

/** The active canary rollout, if the split is about its two versions. */
function heldCanary(ctx: AppContext, wishes: readonly Wish[]): RolloutRow | null {
  const rollout = activeRollout(ctx);
  if (!rollout?.from || rollout.fromAside?.length || planOf(rollout).strategy.kind !== "canary") return null;
  const rolled: readonly string[] = [rollout.from.release, rollout.to.release];
  const isIts = wishes.length === 2 && wishes.every(({ row }) => rolled.includes(row.release.id));
  return isIts && stagesOf(rollout).length > 1 ? rollout : null;
}

/** For now, and paused: `resume` goes back to the plan's weight, `promote` on to its next one. More weight waits for its instances. */
function setCanary(ctx: AppContext, row: RolloutRow, wishes: readonly Wish[], actor: string): Result<Accepted> {
  const { phase } = row;
  if (phase.kind === "preparing" || phase.kind === "finishing") {
    return refuse("conflict", `The rollout of v${row.to.version} is ${phase.kind}: it has no weight to set now.`);
  }
  const wish = wishes.find(({ row: { release } }) => release.id === row.to.release)!;
  const paused = { sinceMs: ctx.nowMs, by: actor, reason: `${wish.weight} % set by hand` };
  take(ctx, row, rolledAgain({ ...row, manualWeight: wish.weight, paused }), "rollout.paused");
  lookAtRollout(ctx, null);
  const after = ctx.draft.get("rollouts", row.id) ?? row;
  return ok({ app: appOf(ctx).app, release: wish.row.release, rollout: rolloutView(ctx, after) });
}
