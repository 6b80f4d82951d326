// What a program may print. Its lines cost the Engine's processor time and disk, which no limit of the program's own bounds.
import { Budget } from "../runtime/budget.ts";

/** Each line costs its handling, however short it is. */
const LINE_COST_BYTES = 100;

export interface LogBudgetLimits {
  readonly logBurstBytesMax: number;
  readonly logBytesPerSecondMax: number;
}

export class LogBudget {
  readonly #bytes: Budget;

  constructor({ logBurstBytesMax: burst, logBytesPerSecondMax: perSecond }: LogBudgetLimits, nowMs: number) {
    this.#bytes = new Budget({ burst, perSecond }, nowMs);
  }

  /** False: it has printed more than it may. */
  take(lineBytes: number, nowMs: number): boolean {
    return this.#bytes.take(lineBytes + LINE_COST_BYTES, nowMs);
  }
}
