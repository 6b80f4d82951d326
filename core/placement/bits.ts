// Sets of small numbers as bits of 32-bit words, and the next one up or down.

export const wordsFor = (bits: number): number => (bits + 31) >> 5;

export function setBit(words: Int32Array, base: number, bit: number): void {
  words[base + (bit >> 5)]! |= 1 << (bit & 31);
}

export function clearBit(words: Int32Array, base: number, bit: number): void {
  words[base + (bit >> 5)]! &= ~(1 << (bit & 31));
}

/** The least member that is at least `from`, or -1. The set is `count` words from `base` on. */
export function bitFrom(words: Int32Array, base: number, count: number, from: number): number {
  let at = from >> 5;
  if (at >= count) return -1;
  let word = words[base + at]! & (-1 << (from & 31));
  while (word === 0) {
    at += 1;
    if (at >= count) return -1;
    word = words[base + at]!;
  }
  return (at << 5) + 31 - Math.clz32(word & -word);
}

/** The greatest member that is at most `to`, or -1. */
export function bitUpTo(words: Int32Array, base: number, to: number): number {
  if (to < 0) return -1;
  let at = to >> 5;
  let word = words[base + at]! & (-1 >>> (31 - (to & 31)));
  while (word === 0) {
    at -= 1;
    if (at < 0) return -1;
    word = words[base + at]!;
  }
  return (at << 5) + 31 - Math.clz32(word);
}
