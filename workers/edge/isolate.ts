// What one isolate remembers beside its routes: endpoints at hand, what is held against whom, who waits, what was reported.
import type { AppId } from "../../contracts/ids.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { newBudget, spend, type RetryBudget } from "../../core/routing/retry-budget.ts";
import { Ejections } from "./ejections.ts";
import { Failures } from "./failures.ts";
import { Reports } from "./reports.ts";
import { Targets } from "./targets.ts";
import { Watches } from "./watch.ts";

const APPS_MAX = 10_000;

/** How much may be repeated, by app. Only who fails is remembered; what other requests earn is counted when it is needed. */
class RetryBudgets {
  readonly #byApp = new Map<AppId, { budget: RetryBudget; requests: number }>();

  /** A first attempt. Without an entry there is nothing to earn: the budget is full. */
  began(app: AppId): void {
    const known = this.#byApp.get(app);
    if (known !== undefined) known.requests++;
  }

  allows(app: AppId, nowMs: number): boolean {
    const known = this.#byApp.get(app) ?? { budget: newBudget(nowMs, ROUTING_LIMITS), requests: 0 };
    const { allowed, budget } = spend(known.budget, known.requests, nowMs, ROUTING_LIMITS);
    this.#byApp.delete(app);
    if (this.#byApp.size >= APPS_MAX) this.#byApp.delete(this.#byApp.keys().next().value as AppId);
    this.#byApp.set(app, { budget, requests: 0 });
    return allowed;
  }

  /** Nobody failed lately: the usual case, and the hot path. */
  get none(): boolean {
    return this.#byApp.size === 0;
  }
}

export const targets = new Targets();
export const ejections = new Ejections();
export const watches = new Watches();
export const reports = new Reports();
export const failures = new Failures();
export const retries = new RetryBudgets();
