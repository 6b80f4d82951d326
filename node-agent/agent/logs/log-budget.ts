// What a program may print: so much at once, and so much for ever. Its lines cost the Engine's processor time and disk, which no limit of the program's own bounds.

/** Each line costs its handling, however short it is. */
const LINE_COST_BYTES = 100;

export interface LogBudgetLimits {
  readonly logBurstBytesMax: number;
  readonly logBytesPerSecondMax: number;
}

export class LogBudget {
  readonly #limits: LogBudgetLimits;
  #left: number;
  #atMs: number;

  constructor(limits: LogBudgetLimits, nowMs: number) {
    this.#limits = limits;
    this.#left = limits.logBurstBytesMax;
    this.#atMs = nowMs;
  }

  /** False: it has printed more than it may. */
  take(lineBytes: number, nowMs: number): boolean {
    const { logBurstBytesMax, logBytesPerSecondMax } = this.#limits;
    const earned = (Math.max(0, nowMs - this.#atMs) / 1_000) * logBytesPerSecondMax;
    this.#left = Math.min(logBurstBytesMax, this.#left + earned) - lineBytes - LINE_COST_BYTES;
    this.#atMs = Math.max(this.#atMs, nowMs);
    return this.#left >= 0;
  }
}
