// Levels of an amount: each amount is on the level that its bounds say, and all of them are narrow for what is on them.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { levelOf, levelsUpTo, ONE_LEVEL } from "../../core/placement/levels.ts";
import { SEED, announced } from "./seed.ts";

const UNIT = 16;
const MAX = 1_000_000;

describe("levels", () => {
  it.each([0, 1, 3, 5])("hold what lies between their bounds, with %d bits", (bits) => {
    const levels = levelsUpTo(MAX, UNIT, bits);
    for (let level = 0; level < levels.last; level += 1) {
      const [low, next] = [levels.lows[level]!, levels.lows[level + 1]!];
      expect(levelOf(levels, low)).toBe(level);
      expect(levelOf(levels, next - 1)).toBe(level);
      expect(next - low).toBeLessThanOrEqual(Math.max(UNIT, low / 2 ** bits));
    }
  });

  it(announced("rise with the amount, whatever it is"), () => {
    const levels = levelsUpTo(MAX, UNIT, 2);
    const amount = fc.double({ min: -1e6, max: 1e16, noNaN: true });
    fc.assert(
      fc.property(amount, amount, (a, b) => {
        const [low, high] = a < b ? [a, b] : [b, a];
        expect(levelOf(levels, low)).toBeLessThanOrEqual(levelOf(levels, high));
        expect(levels.lows[levelOf(levels, high)]!).toBeLessThanOrEqual(Math.max(0, high));
        expect(levels.lows[levelOf(levels, high) + 1]!).toBeGreaterThan(high);
      }),
      { seed: SEED, numRuns: 2_000 },
    );
  });

  it("take what is over-committed as empty, and what is beyond all as the largest", () => {
    const levels = levelsUpTo(MAX, UNIT, 3);
    expect(levelOf(levels, -5)).toBe(0);
    expect(levelOf(levels, Infinity)).toBe(levels.last);
    expect(levelOf(levels, MAX * 1_000)).toBe(levels.last);
    expect([levelOf(ONE_LEVEL, 0), levelOf(ONE_LEVEL, 1e12)]).toEqual([0, 0]);
  });
});
