// What a result says about the instance and its node, and what of it the App object is told.
import { verdictOf } from "../../core/routing/ejections.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import type { Endpoint, Route, RouteRelease } from "../../contracts/route.ts";
import type { EdgeEnv } from "./env.ts";
import type { InstanceResult } from "./fetch-instance.ts";
import { ejections, reports } from "./isolate.ts";
import { report } from "./reports.ts";
import type { Target } from "./targets.ts";

const limits = ROUTING_LIMITS;

export interface Learner {
  readonly env: EdgeEnv;
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/**
 * While anything is held against anybody: nodes of the route that are due are probed, and the App object hears of its instances
 * on nodes whose gateway is dead, whichever app's request found that out.
 */
export function lookAround({ env, keepAlive }: Learner, { app, state, atMs }: Route): void {
  if (state.kind !== "serving") return;
  const nowMs = Date.now();
  for (const { endpoints } of state.releases) {
    for (const endpoint of endpoints) {
      const node = ejections.nodeStanding(endpoint.node, atMs, nowMs);
      if (node.kind === "due") keepAlive(ejections.probe(endpoint, keepAlive));
      if (node.kind === "out" && reports.admit(endpoint, node.untilMs, nowMs))
        keepAlive(report(env, app, endpoint, "connect"));
    }
  }
}

export interface Asked {
  readonly route: Route;
  readonly release: RouteRelease;
  readonly endpoint: Endpoint;
  readonly target: Target;
  readonly sentAtMs: number;
  /** Its body came from the visitor while it was sent. */
  readonly streamed: boolean;
}

export function learn(learner: Learner, asked: Asked, result: InstanceResult): void {
  const { env, keepAlive } = learner;
  const { route, endpoint: to, sentAtMs, streamed } = asked;
  if (result.kind === "answered") return learnFromAnswer(asked, result.response.status);
  const nowMs = Date.now();
  if (result.kind === "unreachable") {
    // Its gateway may be dead, or have closed this one connection: the node is left alone until its probe has told. Where a visitor's
    // body was under way it may be that which broke off, or was none: no visitor is to take an instance from the others by it.
    if (!streamed) ejections.eject(to, nowMs);
    const probed = ejections.probe(to, keepAlive);
    keepAlive(probed.then((presence) => (presence === "answers" ? undefined : lookAround(learner, route))));
    return;
  }
  ejections.answered(to, false, sentAtMs, nowMs);
  const verdict = result.kind === "gateway_error" ? verdictOf(result.code) : null;
  if (verdict === null) return;
  const { count, untilMs } = ejections.eject(to, nowMs);
  const tells = verdict.reportFrom !== null && count >= verdict.reportFrom;
  if (tells && reports.admit(to, untilMs, nowMs)) keepAlive(report(env, route.app, to, "gateway_5xx"));
}

/**
 * An app's own answer. One instance that answers 500 and more several times in a row, or on its trial, is left alone where its
 * release has others: they may be well. Where all are like that nobody is avoided (choose). The App object is not told: its
 * judge and its probes see these answers by themselves.
 */
function learnFromAnswer({ release, endpoint, target, sentAtMs }: Asked, status: number): void {
  const failed = status >= 500;
  const inRow = target.answered(failed);
  if (!failed && ejections.none) return;
  const nowMs = Date.now();
  if (!failed) return ejections.answered(endpoint, true, sentAtMs, nowMs);
  if (!ejections.none) ejections.answered(endpoint, false, sentAtMs, nowMs);
  if (release.endpoints.length < 2) return;
  if (inRow >= limits.serverErrorsInRowMax || ejections.isOnTrial(endpoint)) ejections.eject(endpoint, nowMs);
}
