// Deterministic chance: a stream of numbers from a seed. Not for secrets.

/** sfc32 (PractRand's small fast counter) over 32 hexadecimal digits; the salt tells streams of one seed apart. Yields uint32. */
export function randomFrom(seed: string, salt = 0): () => number {
  let a = Number.parseInt(seed.slice(0, 8), 16) | 0;
  let b = Number.parseInt(seed.slice(8, 16), 16) | 0;
  let c = Number.parseInt(seed.slice(16, 24), 16) | 0;
  let d = (Number.parseInt(seed.slice(24, 32), 16) ^ Math.imul(salt, 0x9e3779b1)) | 0;
  const next = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let round = 0; round < 12; round += 1) next();
  return next;
}

/** A number for a text under a seed: a tie-break that does not depend on the order of a list. */
export function rankOf(seed: string, text: string): number {
  let hash = Number.parseInt(seed.slice(0, 8), 16) | 0;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    hash = (hash << 13) | (hash >>> 19);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
