// core/analysis/bets: each bet against a release, its exact mean, and the bounds that follow.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { betsAbove, betsAgainst, lowerBound } from "../../../core/analysis/bets.ts";
import { announced, SEED } from "../seed.ts";

/** The factors of core/analysis/bets.ts, written out anew. */
const WORSE = [1.2, 1.5, 2, 3, 5, 8, 13, 25, 50, 100, 250, 800];

/** Probabilities of 0..n hits, by Pascal's recursion in plain numbers: independent of any logarithm. */
function binomial(n: number, p: number): readonly number[] {
  let row = [1];
  for (let trial = 0; trial < n; trial += 1) {
    row = Array.from({ length: row.length + 1 }, (_, k) => (row[k] ?? 0) * (1 - p) + (row[k - 1] ?? 0) * p);
  }
  return row;
}

/** The exact mean of what each bet pays, over all outcomes of both releases. */
function meanPayout(n: number, p: number, m: number, q: number, tolerance: { ratio: number; share: number }) {
  const sums = WORSE.map(() => 0);
  for (const [x, chanceOfX] of binomial(n, p).entries()) {
    for (const [y, chanceOfY] of binomial(m, q).entries()) {
      const bets = betsAgainst({ bad: x, requests: n }, { bad: y, requests: m }, tolerance);
      for (const [k, bet] of bets.entries()) sums[k]! += chanceOfX * chanceOfY * Math.exp(bet);
    }
  }
  return sums;
}

const sizes = fc.integer({ min: 0, max: 25 });
const shares = fc.double({ min: 0, max: 1, noNaN: true });
const tolerances = fc.record({
  ratio: fc.double({ min: 1, max: 5, noNaN: true }),
  share: fc.double({ min: 0, max: 0.3, noNaN: true }),
});

describe("a bet against the current release", () => {
  test(
    announced("has a mean of at most 1 for every release that is no worse than tolerated, whatever split and rate"),
    () => {
      fc.assert(
        fc.property(sizes, sizes, shares, shares, tolerances, (n, m, q, part, tolerance) => {
          const p = Math.min(1, tolerance.ratio * q + tolerance.share) * part;
          for (const mean of meanPayout(n, p, m, q, tolerance)) expect(mean).toBeLessThanOrEqual(1 + 1e-9);
        }),
        { seed: SEED, numRuns: 60 },
      );
    },
  );

  test("pays on average where the release is worse than tolerated", () => {
    const means = meanPayout(25, 0.4, 25, 0.02, { ratio: 1.1, share: 0.001 });
    expect(means.some((mean) => mean > 10)).toBe(true);
  });

  test("is the binomial likelihood ratio of Lindon and Malek when no share is tolerated", () => {
    const [n, m, x, y, ratio] = [40, 360, 5, 3, 1.1];
    const choose = (k: number, of: number): number => (k === 0 ? 1 : (choose(k - 1, of) * (of - k + 1)) / k);
    const likelihood = (odds: number): number => {
      const part = (odds * n) / (odds * n + m);
      return choose(x, x + y) * part ** x * (1 - part) ** y;
    };
    const bets = betsAgainst({ bad: x, requests: n }, { bad: y, requests: m }, { ratio, share: 0 });
    for (const [k, worse] of WORSE.entries()) {
      expect(Math.exp(bets[k]!)).toBeCloseTo(likelihood(ratio * worse) / likelihood(ratio), 9);
    }
  });

  test("comes near the closed mixture under a flat prior, which is made for one unchanging split", () => {
    const [n, m, x, y] = [1_000, 9_000, 40, 12];
    const part = n / (n + m);
    const closed = logBeta(1 + x, 1 + y) - x * Math.log(part) - y * Math.log(1 - part);
    const bets = betsAgainst({ bad: x, requests: n }, { bad: y, requests: m }, { ratio: 1, share: 0 });
    const mixture = Math.log(bets.reduce((sum, bet) => sum + Math.exp(bet), 0) / bets.length);
    expect(Math.abs(mixture - closed)).toBeLessThan(2);
    expect(closed).toBeGreaterThan(40);
  });

  test("says nothing without requests on both sides", () => {
    const some = { bad: 3, requests: 10 };
    const none = { bad: 0, requests: 0 };
    const tolerance = { ratio: 1.1, share: 0.01 };
    expect(betsAgainst(some, none, tolerance).every((bet) => bet === 0)).toBe(true);
    expect(betsAgainst(none, some, tolerance).every((bet) => bet === 0)).toBe(true);
  });

  test("stays finite for the largest counts there are", () => {
    const most = Number.MAX_SAFE_INTEGER;
    for (const [x, y] of [
      [0, 0],
      [most, 0],
      [0, most],
      [most, most],
    ] as const) {
      const bets = betsAgainst({ bad: x, requests: most }, { bad: y, requests: most }, { ratio: 1.1, share: 0.001 });
      expect(bets.every(Number.isFinite)).toBe(true);
    }
  });
});

describe("a bet above a bound", () => {
  test(announced("has a mean of at most 1 for every release within the bound"), () => {
    fc.assert(
      fc.property(sizes, fc.double({ min: 0.001, max: 0.99, noNaN: true }), shares, (n, bound, part) => {
        const sums = WORSE.map(() => 0);
        for (const [x, chance] of binomial(n, bound * part).entries()) {
          for (const [k, bet] of betsAbove({ bad: x, requests: n }, bound).entries())
            sums[k]! += chance * Math.exp(bet);
        }
        for (const mean of sums) expect(mean).toBeLessThanOrEqual(1 + 1e-9);
      }),
      { seed: SEED, numRuns: 60 },
    );
  });

  test("has a lower bound beneath the share that was seen, the closer the more was seen", () => {
    const few = lowerBound({ bad: 1, requests: 2 }, 0.01);
    const many = lowerBound({ bad: 500, requests: 1_000 }, 0.01);
    expect(few).toBeLessThan(0.01);
    expect(many).toBeGreaterThan(0.4);
    expect(many).toBeLessThan(0.5);
    expect(lowerBound({ bad: 0, requests: 0 }, 0.01)).toBe(0);
    expect(lowerBound({ bad: 0, requests: 1_000 }, 0.01)).toBe(0);
  });

  test("has a lower bound below which the true share lies as seldom as promised, however often one looks", () => {
    expect(exceeding(0.1, 0.3, 2_000)).toBeLessThanOrEqual(0.1 * 400);
  });
});

/** Of 400 streams: in how many the bound ever lay above the truth. */
function exceeding(chance: number, share: number, requests: number): number {
  let wrong = 0;
  for (let stream = 0; stream < 400; stream += 1) {
    let seed = (SEED + stream * 2_654_435_761) >>> 0;
    const uniform = (): number => {
      seed = (Math.imul(seed ^ (seed >>> 15), seed | 1) + 0x6d2b79f5) >>> 0;
      return ((seed ^ (seed >>> 14)) >>> 0) / 2 ** 32;
    };
    let bad = 0;
    for (let n = 1; n <= requests; n += 1) {
      if (uniform() < share) bad += 1;
      if (n % 20 === 0 && lowerBound({ bad, requests: n }, chance) > share) {
        wrong += 1;
        break;
      }
    }
  }
  return wrong;
}

/** Lanczos' approximation of the logarithm of the gamma function (g = 7, n = 9). */
function logGamma(z: number): number {
  const terms = [
    676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
    -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  const sum = terms.reduce((total, term, index) => total + term / (z + index), 0.99999999999980993);
  const t = z + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (z - 0.5) * Math.log(t) - t + Math.log(sum);
}
const logBeta = (a: number, b: number): number => logGamma(a) + logGamma(b) - logGamma(a + b);
