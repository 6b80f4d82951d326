// Sets of small numbers as bits of 32-bit words, and the next one up or down.

export const wordsFor = (bits: number): number => (bits + 31) >> 5;

export function setBit(words: Int32Array, base: number, bit: number): void {
  words[base + (bit >> 5)]! |= 1 << (bit & 31);
}

export function clearBit(words: Int32Array, base: number, bit: number): void {
  words[base + (bit >> 5)]! &= ~(1 << (bit & 31));
}

/** The least member from `from` up to `to`, or -1. Words begin at `base`; the set has a word for `to`. */
export function bitFrom(words: Int32Array, base: number, from: number, to: number): number {
  if (from > to) return -1;
  let at = from >> 5;
  const last = to >> 5;
  let word = words[base + at]! & (-1 << (from & 31));
  while (word === 0) {
    at += 1;
    if (at > last) return -1;
    word = words[base + at]!;
  }
  const bit = (at << 5) + 31 - Math.clz32(word & -word);
  return bit <= to ? bit : -1;
}

/** The greatest member from `to` down to `from`, or -1. */
export function bitUpTo(words: Int32Array, base: number, to: number, from: number): number {
  if (to < from) return -1;
  let at = to >> 5;
  const last = from >> 5;
  let word = words[base + at]! & (-1 >>> (31 - (to & 31)));
  while (word === 0) {
    at -= 1;
    if (at < last) return -1;
    word = words[base + at]!;
  }
  const bit = (at << 5) + 31 - Math.clz32(word);
  return bit >= from ? bit : -1;
}
