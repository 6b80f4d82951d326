// What control state means by an instance: whether it is to run on, or is one half of a hand-over.
import type { InstanceRow } from "../../../core/app/types.ts";

/** Meant to run beyond a hand-over: neither given up with its node, nor about to be, nor being moved away from it. */
export function isMeantToStay({ phase, nodeGone, suspect, leaving }: InstanceRow): boolean {
  if (nodeGone || suspect || leaving) return false;
  return phase.kind === "placing" || phase.kind === "committing" || phase.kind === "running";
}
