// What a deliberately broken variant is: which core it runs, and the invariant (or the promise) whose check must name it.
import type { StepApp } from "../../core/app/types.ts";
import type { StepCell } from "../../core/cell/types.ts";
import { REAL_CORE, type Core } from "./cluster.ts";
import type { SimulationSetup } from "./simulation.ts";

/** setup: where it shows soonest. */
export interface Broken {
  readonly name: string;
  readonly invariant: number | "spread" | "apart" | "cordon" | "moves" | "judged";
  readonly core: () => Core;
  readonly setup?: Partial<SimulationSetup>;
}

export type AppStep = (...args: Parameters<StepApp>) => ReturnType<StepApp>;
type CellStep = (...args: Parameters<StepCell>) => ReturnType<StepCell>;

/** Another step before or after the real one; what it answers has the real one's shape. */
export const withApp = (step: AppStep): Core => ({ ...REAL_CORE, stepApp: step as StepApp });
export const withCell = (step: CellStep): Core => ({ ...REAL_CORE, stepCell: step as StepCell });
