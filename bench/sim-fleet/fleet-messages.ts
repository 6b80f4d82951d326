// What the benchmark and a process full of simulated nodes say to each other.
import type { Returned } from "./homecoming.ts";
import type { Counts, Transport } from "./counts.ts";
import type { Upgraded, UpgradeWish } from "./sim-upgrade.ts";

export interface FleetWish {
  readonly controlUrl: string;
  readonly operatorToken: string;
  readonly region: string;
  readonly firstNode: number;
  readonly nodes: number;
  /** Enrolments under way at once. */
  readonly enrolAtOnce: number;
  /** Once all are enrolled, their first beats and polls are spread over this: a fleet does not boot in one second. */
  readonly startWithinMs: number;
  readonly transport: Transport;
  /** The agents can be upgraded. */
  readonly upgrade?: UpgradeWish;
}

export type ToFleet =
  | { readonly kind: "report" }
  /** The control plane answers again, since this moment of the host's clock. */
  | { readonly kind: "back"; readonly sinceMs: number }
  | { readonly kind: "returned" }
  | { readonly kind: "upgrades" }
  /** So many of the agents go on; the others are silent for good. */
  | { readonly kind: "keep"; readonly nodes: number }
  | { readonly kind: "stop" };

export type FromFleet =
  | { readonly kind: "enrolled"; readonly tookMs: number; readonly cells: readonly string[] }
  | { readonly kind: "returned"; readonly agents: readonly Returned[] }
  | { readonly kind: "upgrades"; readonly agents: readonly Upgraded[] }
  | { readonly kind: "report"; readonly counts: Counts; readonly cpuMs: number; readonly loopDelayP99Ms: number };
