// What control state means by an instance: whether it is to run on, or is one half of a hand-over.
import type { InstanceRow } from "../../../core/app/types.ts";

/** Meant to run beyond a hand-over: neither given up with its node nor being moved away from it. */
export function isMeantToStay({ phase, nodeGone, leaving }: InstanceRow): boolean {
  if (nodeGone || leaving) return false;
  return phase.kind === "placing" || phase.kind === "committing" || phase.kind === "running";
}
