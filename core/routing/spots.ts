// Where on the scale of the weights a request falls: evenly spread over requests, or always the same for one visitor.

/**
 * The spot after `before`: a Weyl sequence of the golden ratio's step. However many requests are counted, each weight has had its
 * share of them but for a few (its discrepancy falls with log n / n, where that of independent draws falls with 1 / √n).
 */
export const nextSpot = (before: number): number => (before + 0x9e3779b9) | 0;

/** The spot of a visitor's own value: 32-bit FNV-1a, then the finaliser of MurmurHash3, since FNV's upper bits hardly differ for short values. */
export function spotOf(value: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < value.length; at++) hash = Math.imul(hash ^ value.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
