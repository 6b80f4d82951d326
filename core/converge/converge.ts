// What a node does next: the desired document against what it knows of its instances. Pure; the same input, the same plan.
import type { DesiredDocument, DesiredInstance } from "../../contracts/desired.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import type { AgentLimits } from "./limits.ts";
import type { LocalInstance } from "./local.ts";
import { hasRun, isGivenUp } from "./restart.ts";

/** The highest generation seen of an instance, and whether it was stopped in it: stop is final. */
export interface Fence {
  readonly generation: number;
  readonly stopped: boolean;
}

/**
 * withdraw: no new request may reach it. fence: a strict singleton without a lease ends, for good. give_up: it is not started
 * again by itself. forget: drop its record.
 */
export type Action =
  | { readonly kind: "withdraw"; readonly instance: InstanceId; readonly reason: string }
  | { readonly kind: "stop"; readonly instance: InstanceId; readonly reason: string }
  | { readonly kind: "fence"; readonly instance: InstanceId; readonly reason: string }
  | { readonly kind: "start"; readonly instance: InstanceId; readonly reason: string }
  | { readonly kind: "restart"; readonly instance: InstanceId; readonly reason: string }
  | { readonly kind: "give_up"; readonly instance: InstanceId; readonly reason: string }
  | { readonly kind: "forget"; readonly instance: InstanceId; readonly reason: string };

/** notes say why an instance that could be expected to move does not. wakeAtMs: when the answer would be another one. */
export interface Plan {
  readonly revision: number;
  readonly actions: readonly Action[];
  readonly notes: readonly string[];
  readonly wakeAtMs: number | null;
}

export interface ConvergeInput {
  readonly desired: DesiredDocument;
  readonly local: readonly LocalInstance[];
  readonly fences: ReadonlyMap<InstanceId, Fence>;
  readonly nowMs: number;
  readonly limits: AgentLimits;
  /** Whether a committed lease covers this node's strict singletons now (invariant 4). */
  readonly covered: boolean;
}

/** Withdrawals come first, then stops, then starts: what is absent has left the gateway before anything else gets traffic. */
export function converge(input: ConvergeInput): Plan {
  const wanted = new Map(input.desired.instances.map((instance) => [instance.instance, instance]));
  const known = new Map(input.local.map((local) => [local.instance, local]));
  const notes: string[] = [];
  const wakes: number[] = [];
  const leaving: Action[] = [];
  const moving: Action[] = [];

  for (const local of input.local) {
    const desired = wanted.get(local.instance);
    if (desired === undefined) leaving.push(...dismiss(local, input, wakes));
    else if (desired.generation > local.generation) {
      leaving.push(...dismiss(local, input, wakes, `generation ${desired.generation} takes its place`));
    }
  }
  for (const desired of input.desired.instances) {
    const step = advance(desired, known.get(desired.instance), input, wakes);
    if ("note" in step) notes.push(`${desired.instance}/${desired.generation}: ${step.note}`);
    else moving.push(step);
  }
  const order = { fence: 0, withdraw: 1, stop: 2, forget: 3, give_up: 4, restart: 5, start: 6 } as const;
  const actions = [...leaving, ...moving].sort((a, b) => order[a.kind] - order[b.kind]);
  return {
    revision: input.desired.revision,
    actions,
    notes: notes.length + actions.length === 0 ? ["the document names no instance and none is here"] : notes,
    wakeAtMs: wakes.length === 0 ? null : Math.min(...wakes),
  };
}

const ABSENT = "absent from the document";

/** An instance that must not run here, or not in this generation. */
function dismiss(
  { instance, state }: LocalInstance,
  { nowMs, limits }: ConvergeInput,
  wakes: number[],
  reason = ABSENT,
): Action[] {
  if (state.kind === "stopping") return [];
  if (state.kind === "stopped" && reason !== ABSENT) return [{ kind: "forget", instance, reason }];
  if (state.kind !== "stopped") {
    return [
      { kind: "withdraw", instance, reason },
      { kind: "stop", instance, reason },
    ];
  }
  const forgetAtMs = state.atMs + limits.stoppedReportMs;
  if (nowMs >= forgetAtMs) return [{ kind: "forget", instance, reason: "its end was reported" }];
  wakes.push(forgetAtMs);
  return [];
}

function advance(
  desired: DesiredInstance,
  local: LocalInstance | undefined,
  { fences, nowMs, covered }: ConvergeInput,
  wakes: number[],
): Action | { readonly note: string } {
  const { instance, generation } = desired;
  const fence = fences.get(instance);
  if (fence !== undefined && generation < fence.generation) {
    return { note: `fenced: generation ${fence.generation} was seen here` };
  }
  if (local !== undefined && local.generation < generation && local.state.kind !== "stopped")
    return { note: `waits until ${local.generation} has stopped` };
  if (local !== undefined && local.generation > generation) return { note: `generation ${local.generation} is here` };
  if (local === undefined || local.generation < generation) {
    if (fence?.generation === generation && fence.stopped) return { note: "was stopped here, which is final" };
    // The App counts a failure as the end of this instance, so one that never ran may wait for its lease.
    if (desired.singleton === "strict" && !covered) return { note: "waits for a lease that covers it" };
    return { kind: "start", instance, reason: "in the document and not here" };
  }
  const { state } = local;
  if (desired.singleton === "strict" && !covered && mayRun(state)) {
    return { kind: "fence", instance, reason: "no committed lease covers it any more" };
  }
  if (state.kind !== "ended") return { note: `nothing to do: ${state.kind}` };
  if (isGivenUp(state.failure, local.everReady)) {
    return { kind: "give_up", instance, reason: `${state.failure.code}: no further try here can mend it` };
  }
  if (desired.job && hasRun(state.failure))
    return { kind: "give_up", instance, reason: "a one-off instance runs once" };
  // An end in the future: the clock was set back since (the first answer after a boot corrects it), and that is no reason to wait.
  const stepped = nowMs < state.endedAtMs - CLOCK_STEP_MS;
  if (nowMs >= state.retryAtMs || stepped)
    return { kind: "restart", instance, reason: `${state.failure.code}, end ${local.crashes} in a row` };
  wakes.push(state.retryAtMs);
  return { note: `backing off for ${Math.ceil(state.retryAtMs - nowMs)} ms after ${state.failure.code}` };
}

/** More than the clock's estimate ever moves by itself. */
const CLOCK_STEP_MS = 1_000;

/** Whether something of it runs, or would be started again. */
function mayRun({ kind }: LocalInstance["state"]): boolean {
  return kind !== "stopping" && kind !== "stopped" && kind !== "failed" && kind !== "done";
}

/** One line per action and note, for the log and for people. */
export function printPlan(plan: Plan): string[] {
  return [
    ...plan.actions.map((action) => `${action.kind} ${action.instance}: ${action.reason}`),
    ...plan.notes.map((note) => `- ${note}`),
  ];
}
