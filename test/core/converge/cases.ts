// What the tests of the node's plan share: short ways to say documents, states and plans.
import { DesiredDocument, type DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import type { InstanceId } from "../../../contracts/ids.ts";
import { type Action, converge, type Fence } from "../../../core/converge/converge.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import type { LocalInstance, LocalState } from "../../../core/converge/local.ts";

export const NOW = 1_000_000;
export const id = (prefix: string, n: number) => `${prefix}_0${String(n).padStart(25, "0")}`;
export const ins = (n: number) => id("ins", n) as InstanceId;
export const failure = (code: InstanceFailure["code"] = "exited"): InstanceFailure => ({
  code,
  message: "why",
  exitCode: 1,
  signal: null,
  logTail: [],
});

export function wanted(n: number, over: Partial<DesiredInstance> = {}): DesiredInstance {
  const { instances } = DesiredDocument.parse({
    node: id("node", 1),
    revision: 1,
    routes: {},
    instances: [
      {
        ...{ instance: ins(n), generation: 1, app: id("app", 1), appName: "a", team: id("team", 1) },
        ...{ release: id("rel", 1), version: 1, ordinal: 0, intent: "run", port: 80, stopGraceMs: 0 },
        ...{ source: { kind: "image", reference: "a", digest: null }, resources: {}, probes: {} },
        ...{ readOnlyRoot: false, hasEnvironment: false, privateImage: false },
        ...over,
      },
    ],
  });
  return instances[0] as DesiredInstance;
}

export function local(n: number, state: LocalState, over: Partial<LocalInstance> = {}): LocalInstance {
  return { instance: ins(n), generation: 1, state, crashes: 0, restarts: 0, everReady: false, ...over };
}

export function plan(
  instances: DesiredInstance[],
  locals: LocalInstance[],
  fences: [InstanceId, Fence][] = [],
  covered = true,
) {
  const desired = DesiredDocument.parse({ node: id("node", 1), revision: 7, routes: {}, instances: [] });
  return converge({
    desired: { ...desired, instances },
    local: locals,
    fences: new Map(fences),
    nowMs: NOW,
    limits: AGENT_LIMITS,
    covered,
  });
}

export const kinds = (actions: readonly Action[]) =>
  actions.map(({ kind, instance }) => `${kind} ${Number(instance.slice(5))}`);
export const running: LocalState = { kind: "running", readySinceMs: 1, failure: null };
export const ended = (retryAtMs: number, code: InstanceFailure["code"] = "exited"): LocalState => ({
  kind: "ended",
  failure: failure(code),
  endedAtMs: NOW - 10,
  retryAtMs,
});
