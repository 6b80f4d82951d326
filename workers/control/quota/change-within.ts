// A change of an app that may make it larger: granted from its team's quota before the App object accepts it, given back when it shrinks.
import type { Accepted } from "../../../contracts/api.ts";
import type { Result } from "../../../contracts/failures.ts";
import { AppId, type TeamId } from "../../../contracts/ids.ts";
import type { Grant } from "../../../contracts/quota.ts";
import type { Resources } from "../../../contracts/release.ts";
import type { Granted, Held, Resolved } from "../../../core/app/types.ts";
import { NOTHING } from "../../../core/quota/holding.ts";
import {
  giveBackRelease,
  grantHolding,
  settleHoldings,
  spendReleases,
  type ReleaseAsk,
  type ReleaseSpent,
  type Settle,
} from "../../../db/queries/app-holdings.ts";
import type { ImagePolicyRecord } from "../../../db/queries/image-policies.ts";
import type { AppRecord } from "../../../db/queries/apps.ts";
import type { AppRpc, Asked } from "../../../durable-objects/rpc.ts";
import { changeApp } from "../apps/app-object.ts";
import type { ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { ApiFailure } from "../http/problem.ts";
import { Together } from "../http/together.ts";
import { resolveReferences } from "../secrets/references.ts";
import { quotaPolicy } from "./policy.ts";
import { outOfQuota } from "./refuse.ts";

/** Another change of the same app may use up a grant on its way, or change where a variable comes from: it is asked for again. */
const GRANTS_MAX = 3;

/**
 * Releases of one team take turns at its quota, each for as long as a commit takes: those that come meanwhile are one transaction, so that
 * more come in with a commit instead of waiting for one each.
 */
const spending = new Together<ReleaseAsk, ReleaseSpent>();
const settling = new Together<Settle, boolean>();
/** Of a team, in one transaction: its quota is held for as long as all of them take, a millisecond each. */
const TOGETHER_MAX = 25;
const PATIENCE_MS = 5_000;

type Change = (object: AppRpc, asked: Asked & Granted) => Promise<Result<Accepted & Held>>;

/** Asks the App object first: most changes need no more than the app holds, and then nothing is asked of Postgres. */
export async function changeWithin(
  c: ControlRequest,
  app: AppRecord,
  change: Change,
  first: Grant | null = null,
): Promise<Accepted & Held> {
  let grant = first;
  let resolved: { resolved?: Resolved } = {};
  for (let grants = 0; ; grants += 1) {
    try {
      const value = await changeApp(c, app, (object, asked) => change(object, { ...asked, grant, ...resolved }));
      settle(c, app, value, grant);
      return value;
    } catch (error) {
      const { growth, unresolved } = error instanceof ApiFailure ? error.failure : {};
      if (grants >= GRANTS_MAX) throw error;
      if (unresolved !== undefined) {
        resolved = { resolved: await resolveReferences(c, app, unresolved) };
        continue;
      }
      if (growth === undefined) throw error;
      const ask = { team: app.team, app: app.id, policy: quotaPolicy(c.env), ...growth };
      const answer = await grantHolding(databaseOf(c.env), ask);
      if (!answer.facts.allowed) throw new ApiFailure(outOfQuota(answer.facts));
      ({ grant } = answer);
    }
  }
}

/** After the answer. Where it is lost, the sweep asks the App object. */
function settle(c: ControlRequest, app: AppRecord, { held }: Held, grant: Grant | null): void {
  if (held === undefined || (grant === null && !held.changed)) return;
  const { amounts, version, settled } = held;
  const database = databaseOf(c.env);
  const ask = (all: readonly Settle[]) => settleHoldings(database, app.team, all);
  const options = { ask, itemsMax: TOGETHER_MAX, patienceMs: PATIENCE_MS };
  const item = { app: app.id, amounts, version, settled };
  const work = settling.take(keyOf(c, app.team), item, c.executionCtx, options);
  c.executionCtx.waitUntil(work.catch(() => undefined));
}

/** What is asked together goes to one database, under one plan. */
const keyOf = ({ env }: ControlRequest, team: TeamId): string =>
  `${env.DATABASE_URL_APP} ${env.DEFAULT_PLAN ?? ""} ${team}`;

/** For a release that needs no more than the app has. */
export const NO_GROWTH = { registry: null, replicas: 0, resources: NOTHING } as const;

interface ReleaseSpending {
  readonly grant: Grant | null;
  readonly privateImage: boolean;
  readonly imagePolicies: ImagePolicyRecord;
  /** None is left for a release of today; or, from whoever judged it, its image may not run. */
  readonly refusal: ApiFailure | null;
  /** The release was not made after all. */
  readonly giveBack: () => void;
}

/** One request to Postgres for all that a release needs of it; the app may be named as its path names it. */
export async function startRelease(
  c: ControlRequest,
  ask: { app: string; registry: string | null; replicas: number | undefined; resources: Omit<Resources, "pids"> },
): Promise<ReleaseSpending> {
  const { app, registry, replicas, resources } = ask;
  const { team } = c.get("caller");
  const database = databaseOf(c.env);
  const id = AppId.safeParse(app);
  const which = id.success ? { id: id.data } : { name: app };
  const of = { team: team.id, policy: quotaPolicy(c.env) };
  const spend = (asks: readonly ReleaseAsk[]) => spendReleases(database, of, asks);
  const options = { ask: spend, itemsMax: TOGETHER_MAX, patienceMs: PATIENCE_MS };
  const item = { app: which, registry, replicas, resources };
  const spent = await spending.take(keyOf(c, team.id), item, c.executionCtx, options);
  const { facts, counted, grant, privateImage, imagePolicies } = spent;
  const refusal = facts.allowed ? null : new ApiFailure(outOfQuota({ ...facts, asked: { releasesPerDay: 1 } }));
  const giveBack = () => {
    if (counted) c.executionCtx.waitUntil(giveBackRelease(database, team.id).catch(() => undefined));
  };
  return { grant, privateImage, imagePolicies, refusal, giveBack };
}

/** What was counted and refused after all is given back; where nobody knows, it stays counted. */
export async function releaseWithin(
  c: ControlRequest,
  app: AppRecord,
  { grant, refusal, giveBack }: Omit<ReleaseSpending, "privateImage" | "imagePolicies">,
  change: Change,
): Promise<Accepted> {
  // The same request again is answered as it was, whatever is left by now.
  const unspent = refusal === null ? {} : ({ unspent: true } as const);
  if (refusal !== null && c.req.header("idempotency-key") === undefined) {
    giveBack();
    throw refusal;
  }
  try {
    const value = await changeWithin(c, app, (object, asked) => change(object, { ...asked, ...unspent }), grant);
    if (value.held?.released === false) giveBack();
    return value;
  } catch (error) {
    if (error instanceof ApiFailure) giveBack();
    throw refusal !== null && error instanceof ApiFailure && error.failure.code === "quota_exceeded" ? refusal : error;
  }
}
