// So much at once, and so much for ever: what a program costs its host outside of its own limits.

export interface BudgetLimits {
  readonly burst: number;
  readonly perSecond: number;
}

export class Budget {
  readonly #limits: BudgetLimits;
  #left: number;
  #atMs: number;

  constructor(limits: BudgetLimits, nowMs: number) {
    this.#limits = limits;
    this.#left = limits.burst;
    this.#atMs = nowMs;
  }

  /** False: it has taken more than it may. A clock that was set back earns nothing. */
  take(cost: number, nowMs: number): boolean {
    const { burst, perSecond } = this.#limits;
    const earned = (Math.max(0, nowMs - this.#atMs) / 1_000) * perSecond;
    this.#left = Math.min(burst, this.#left + earned) - cost;
    this.#atMs = Math.max(this.#atMs, nowMs);
    return this.#left >= 0;
  }
}
