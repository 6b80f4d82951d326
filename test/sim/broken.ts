// What a deliberately broken variant is: which core it runs, and the invariant (or the promise) whose check must name it.
import type { Core } from "./cluster.ts";
import type { SimulationSetup } from "./simulation.ts";

/** setup: where it shows soonest. */
export interface Broken {
  readonly name: string;
  readonly invariant: number | "spread" | "cordon" | "moves";
  readonly core: () => Core;
  readonly setup?: Partial<SimulationSetup>;
}
