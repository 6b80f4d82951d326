// Virtual time: a queue of what happens when, chance from one seed, a lossy network, and a trace of what happened last.
import { randomFrom } from "../../core/random.ts";

export interface FaultRates {
  readonly loss: number;
  readonly duplication: number;
  readonly restart: number;
}
export const NO_FAULTS: FaultRates = { loss: 0, duplication: 0, restart: 0 };

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly act: () => void;
}

const TRACE_KEPT = 400;

export class World {
  nowMs = 1_700_000_000_000;
  faults: FaultRates = NO_FAULTS;
  /** How often each fault really happened. */
  readonly counts = new Map<string, number>();
  readonly trace: string[] = [];
  events = 0;
  private readonly heap: Entry[] = [];
  private order = 0;
  private readonly next: () => number;
  private readonly startMs = 1_700_000_000_000;

  constructor(seed: number) {
    this.next = randomFrom((seed >>> 0).toString(16).padStart(8, "0").repeat(4), 7);
  }

  random(): number {
    return this.next() / 2 ** 32;
  }
  chance(probability: number): boolean {
    return this.random() < probability;
  }
  between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }
  pick<Item>(items: readonly Item[]): Item {
    return items[this.between(0, items.length - 1)]!;
  }
  hexSeed(): string {
    return Array.from({ length: 4 }, () => this.next().toString(16).padStart(8, "0")).join("");
  }

  note(text: string): void {
    this.trace.push(`${String(this.nowMs - this.startMs).padStart(7)} ${text}`);
    if (this.trace.length > TRACE_KEPT * 2) this.trace.splice(0, TRACE_KEPT);
  }
  happened(fault: string): void {
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
  }

  after(delayMs: number, act: () => void): void {
    this.push({ atMs: this.nowMs + Math.max(0, delayMs), order: (this.order += 1), act });
  }

  /** A message on its way: it may be lost, come twice, or overtake another. */
  send(act: () => void): void {
    if (this.chance(this.faults.loss)) return this.happened("message lost");
    this.after(this.latencyMs(), act);
    if (this.chance(this.faults.duplication)) {
      this.happened("message duplicated");
      this.after(this.latencyMs() + this.between(0, 3_000), act);
    }
  }
  private latencyMs(): number {
    if (this.faults.loss > 0 && this.chance(0.02)) {
      this.happened("message delayed");
      return this.between(200, 2_500);
    }
    return this.between(1, 30);
  }

  /** Runs until nothing is left before the time. */
  runUntil(endMs: number, afterEach: () => void): void {
    for (let entry = this.heap[0]; entry && entry.atMs <= endMs; entry = this.heap[0]) {
      this.pop();
      this.nowMs = Math.max(this.nowMs, entry.atMs);
      this.events += 1;
      entry.act();
      afterEach();
    }
    this.nowMs = endMs;
  }

  private before(a: number, b: number): boolean {
    const first = this.heap[a]!;
    const second = this.heap[b]!;
    return first.atMs < second.atMs || (first.atMs === second.atMs && first.order < second.order);
  }
  private swap(a: number, b: number): void {
    [this.heap[a], this.heap[b]] = [this.heap[b]!, this.heap[a]!];
  }
  private push(entry: Entry): void {
    let at = this.heap.push(entry) - 1;
    for (let up = (at - 1) >> 1; at > 0 && this.before(at, up); up = (at - 1) >> 1) {
      this.swap(at, up);
      at = up;
    }
  }
  private pop(): void {
    const last = this.heap.pop()!;
    if (this.heap.length === 0) return;
    this.heap[0] = last;
    for (let at = 0; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < this.heap.length && this.before(child, least)) least = child;
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }
}
