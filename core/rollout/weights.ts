// How traffic is split between what serves and what is coming.

export interface Split {
  readonly from: number;
  readonly to: number;
}

/**
 * Integer weights that sum to 100, or both 0 when nothing is ready. The new release gets the share of its wanted instances
 * that are ready; a side without a ready instance gets nothing, and a side with one is never starved while both serve.
 */
export function splitWeight(input: { fromReady: number; toReady: number; toReplicas: number }): Split {
  const { fromReady, toReady, toReplicas } = input;
  if (fromReady === 0 && toReady === 0) return { from: 0, to: 0 };
  if (toReady === 0) return { from: 100, to: 0 };
  if (fromReady === 0 || toReady >= toReplicas) return { from: 0, to: 100 };
  const to = Math.min(99, Math.max(1, Math.floor((100 * toReady) / toReplicas)));
  return { from: 100 - to, to };
}
