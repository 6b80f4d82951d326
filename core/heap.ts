// A queue of keys by time: the earliest first, among equals the smaller key, whatever order they came in.

export interface Due {
  readonly atMs: number;
  readonly key: string;
}

/** A binary heap as an array; `heap[0]` is the earliest. Nothing is taken out of its middle: see earliestDue. */
export type DueHeap = Due[];

const before = (a: Due, b: Due): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.key < b.key);

/** O(log n). */
export function pushDue(heap: DueHeap, due: Due): void {
  let at = heap.push(due) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(due, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = due;
}

/** O(log n). */
export function popDue(heap: DueHeap): Due | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
    if (!before(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return first;
}

/** The earliest that is still meant; those before it that are not are dropped, once each. */
export function earliestDue(heap: DueHeap, isMeant: (due: Due) => boolean): Due | undefined {
  while (heap[0] !== undefined && !isMeant(heap[0])) popDue(heap);
  return heap[0];
}
