// What a node knows of one instance, as a state; and how that is told to the control plane and to the gateway.
import type { ObservedStatus } from "../../contracts/agent-protocol.ts";
import type { InstanceFailure } from "../../contracts/failures.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import { assertNever } from "../step.ts";

/**
 * preparing: environment, image or bundle on their way. starting: runs, was not ready yet. running: was ready in this run;
 * failure says why it is not just now. ended: its run (or its start) is over; what happens next is the plan's to say. done: a one-off
 * instance that did what it was to do.
 */
export type LocalState =
  | { readonly kind: "preparing"; readonly pull: { readonly doneBytes: number; readonly totalBytes: number } | null }
  | { readonly kind: "starting" }
  | { readonly kind: "running"; readonly readySinceMs: number; readonly failure: InstanceFailure | null }
  | {
      readonly kind: "ended";
      readonly failure: InstanceFailure;
      readonly endedAtMs: number;
      readonly retryAtMs: number;
    }
  | { readonly kind: "failed"; readonly failure: InstanceFailure }
  | { readonly kind: "done"; readonly exitCode: number }
  | { readonly kind: "stopping" }
  | { readonly kind: "stopped"; readonly exitCode: number | null; readonly atMs: number };

/** crashes: ends in a row without a healthy run between them. everReady: in any run since it was placed. */
export interface LocalInstance {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly state: LocalState;
  readonly crashes: number;
  readonly restarts: number;
  readonly everReady: boolean;
}

export function observedStatus(state: LocalState): ObservedStatus {
  switch (state.kind) {
    case "preparing":
      return state.pull === null ? { kind: "pending" } : { kind: "pulling", ...state.pull };
    case "starting":
      return { kind: "starting" };
    case "running":
      return state.failure === null ? { kind: "ready" } : { kind: "unready", failure: state.failure };
    case "ended":
      return { kind: "backoff", failure: state.failure, retryAtMs: Math.ceil(state.retryAtMs) };
    case "failed":
      return { kind: "failed", failure: state.failure };
    case "stopping":
      return { kind: "stopping" };
    case "done":
    case "stopped":
      return { kind: "stopped", exitCode: state.exitCode };
    default:
      return assertNever(state);
  }
}

/**
 * What the gateway may do with it. null: it has no row. An instance that ran ready and fails its probe stays reachable:
 * whether it gets traffic is the route's to say, and a stale route must not turn slowness into errors.
 */
export function endpointState(
  state: LocalState,
  intent: "run" | "drain" | "absent",
): "starting" | "serving" | "draining" | "gone" | null {
  if (state.kind === "stopped") return null;
  if (intent === "absent" || state.kind === "stopping") return "gone";
  if (state.kind !== "running") return "starting";
  return intent === "drain" ? "draining" : "serving";
}
