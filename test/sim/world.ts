// Virtual time: a queue of what happens when, chance from one seed, counts of what really happened, and a trace of the last of it.
import { randomFrom } from "../../core/random.ts";

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly act: () => void;
}

const TRACE_KEPT = 1_500;
/** More in one millisecond go round in a circle. */
const EVENTS_PER_MS_MAX = 20_000;
const START_MS = 1_700_000_000_000;

export class World {
  nowMs = START_MS;
  /** How often each fault, request and outcome really happened. */
  readonly counts = new Map<string, number>();
  readonly trace: string[] = [];
  events = 0;
  /** While it lasts, things break of themselves too. */
  isStormy = false;
  private readonly heap: Entry[] = [];
  private order = 0;
  private eventsNow = 0;
  private readonly next: () => number;

  constructor(seed: number) {
    this.next = randomFrom((seed >>> 0).toString(16).padStart(8, "0").repeat(4), 7);
  }

  random(): number {
    return this.next() / 2 ** 32;
  }
  chance(probability: number): boolean {
    return probability > 0 && this.random() < probability;
  }
  between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }
  pick<Item>(items: readonly Item[]): Item {
    return items[this.between(0, items.length - 1)]!;
  }
  hexSeed(): string {
    return hex(this.next()) + hex(this.next()) + hex(this.next()) + hex(this.next());
  }

  note(text: string): void {
    this.trace.push(`${((this.nowMs - START_MS) / 1_000).toFixed(3).padStart(9)} ${text}`);
    if (this.trace.length > TRACE_KEPT * 2) this.trace.splice(0, TRACE_KEPT);
  }
  happened(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }
  get elapsedMs(): number {
    return this.nowMs - START_MS;
  }

  after(delayMs: number, act: () => void): void {
    this.push({ atMs: this.nowMs + (delayMs > 0 ? Math.ceil(delayMs) : 0), order: (this.order += 1), act });
  }
  /** Again and again at random distances, until `until` says so. */
  every(lowMs: number, highMs: number, act: () => void, until: () => boolean): void {
    this.after(this.between(lowMs, highMs), () => {
      if (until()) return;
      act();
      this.every(lowMs, highMs, act, until);
    });
  }

  /** Runs until nothing is left before the time. */
  runUntil(endMs: number, afterEach: () => void): void {
    for (let entry = this.heap[0]; entry && entry.atMs <= endMs; entry = this.heap[0]) {
      this.pop();
      if (entry.atMs > this.nowMs) {
        this.nowMs = entry.atMs;
        this.eventsNow = 0;
      }
      this.eventsNow += 1;
      if (this.eventsNow > EVENTS_PER_MS_MAX) throw new Error(`time stands still at ${this.elapsedMs} ms`);
      this.events += 1;
      entry.act();
      afterEach();
    }
    this.nowMs = endMs;
  }

  private push(entry: Entry): void {
    const { heap } = this;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!isBefore(entry, heap[up]!)) break;
      heap[at] = heap[up]!;
      at = up;
    }
    heap[at] = entry;
  }
  private pop(): void {
    const { heap } = this;
    const last = heap.pop()!;
    const { length } = heap;
    if (length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

const isBefore = (a: Entry, b: Entry): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
const hex = (number: number): string => (number + 0x1_0000_0000).toString(16).slice(1);
