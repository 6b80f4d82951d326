// What the benchmark and a process full of simulated nodes say to each other.
import type { Counts } from "./sim-agent.ts";

export interface FleetWish {
  readonly controlUrl: string;
  readonly operatorToken: string;
  readonly region: string;
  readonly firstNode: number;
  readonly nodes: number;
  /** Enrolments under way at once; a node beats and polls from its own on, so that the fleet comes up as a real one does. */
  readonly enrolAtOnce: number;
}

export type ToFleet = { readonly kind: "report" } | { readonly kind: "stop" };

export type FromFleet =
  | { readonly kind: "enrolled"; readonly tookMs: number; readonly cells: readonly string[] }
  | { readonly kind: "report"; readonly counts: Counts; readonly cpuMs: number; readonly loopDelayP99Ms: number };
