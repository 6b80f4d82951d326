// A control plane in virtual time that can do only so much: one thing at a time, first come first served, at what each was measured to cost.
import type { World } from "../../sim/world.ts";

/**
 * Processor milliseconds of workerd, each as measured on one core of the machine that the benchmarks run on. firstOfAgent: beside the
 * rest, what an agent costs that was not seen since the start (two signatures, its Cell's state).
 */
export const COST_MS = {
  httpBeat: 0.9,
  socketBeat: 0.3,
  upgrade: 1.4,
  poll: 0.8,
  pollEnd: 0.4,
  lateHttpBeat: 0.5,
  lateSocketBeat: 0.2,
  firstOfAgent: 1,
};
export type Work = keyof typeof COST_MS;

/** gone: the control plane was not there, or went away before it answered. */
export type Answer = "taken" | "refused" | "gone";

interface Job {
  readonly askedAtMs: number;
  /** What it turns out to be, once its turn comes. */
  readonly begin: () => { readonly work: Work; readonly isFirst: boolean; readonly answer: Answer };
  readonly end: (answer: Answer) => void;
}

export class StormControl {
  readonly world: World;
  isUp = true;
  /** How often it went away. */
  starts = 0;
  /** Of what it did, how often. */
  readonly did = new Map<Work, number>();
  readonly #slowness: number;
  #jobs: Job[] = [];
  #next = 0;
  #isWorking = false;
  #busyUntilMs = 0;
  readonly #onEnd: (() => void)[] = [];

  /** slowness: by how much everything costs more than on a machine that has nothing else to do. */
  constructor(world: World, slowness: number) {
    this.world = world;
    this.#slowness = slowness;
  }

  get waiting(): number {
    return this.#jobs.length - this.#next;
  }

  /** Whoever has a socket sees it end. */
  whenItEnds(act: () => void): void {
    this.#onEnd.push(act);
  }

  kill(): void {
    const lost = this.#jobs.slice(this.#next);
    this.isUp = false;
    this.starts += 1;
    [this.#jobs, this.#next, this.#isWorking] = [[], 0, false];
    for (const { end } of lost) end("gone");
    for (const act of this.#onEnd) act();
  }

  return(): void {
    this.isUp = true;
  }

  ask(begin: Job["begin"], end: Job["end"]): void {
    if (!this.isUp) return this.world.after(1, () => end("gone"));
    this.#jobs.push({ askedAtMs: this.world.nowMs, begin, end });
    if (!this.#isWorking) this.#work();
  }

  #work(): void {
    const job = this.#jobs[this.#next];
    this.#isWorking = job !== undefined;
    if (job === undefined) {
      [this.#jobs, this.#next] = [[], 0];
      return;
    }
    this.#next += 1;
    const { work, isFirst, answer } = job.begin();
    this.did.set(work, (this.did.get(work) ?? 0) + 1);
    const costMs = COST_MS[work] + (isFirst ? COST_MS.firstOfAgent : 0);
    // From where the last one really ended: virtual time goes by whole milliseconds, and these are parts of one.
    this.#busyUntilMs = Math.max(job.askedAtMs, this.#busyUntilMs) + costMs * this.#slowness;
    const start = this.starts;
    this.world.after(this.#busyUntilMs - this.world.nowMs, () => {
      if (start !== this.starts) return;
      job.end(answer);
      this.#work();
    });
  }
}
