// Mints TypeIDs from a step's time and seed, so that a replayed step mints the same ones.
import { randomFrom } from "./random.ts";
import type { At } from "./step.ts";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** A UUIDv7 (RFC 9562) in the TypeID spec's base32: 48 bits of time, version and variant, 74 bits of chance. */
function typeIdOf(prefix: string, nowMs: number, next: () => number): string {
  const time = BigInt(nowMs) & 0xffff_ffff_ffffn;
  const high = (time << 16n) | 0x7000n | BigInt(next() & 0xfff);
  const low = (2n << 62n) | (BigInt(next() & 0x3fff_ffff) << 32n) | BigInt(next());
  let rest = (high << 64n) | low;
  let text = "";
  for (let digit = 0; digit < 26; digit += 1) {
    text = ALPHABET[Number(rest & 31n)] + text;
    rest >>= 5n;
  }
  return `${prefix}_${text}`;
}

/** A step's source of ids; each call gives another one. */
export function idsOf(at: At): <Id extends string>(prefix: string) => Id {
  const next = randomFrom(at.seed, 1);
  return <Id extends string>(prefix: string) => typeIdOf(prefix, at.nowMs, next) as Id;
}
