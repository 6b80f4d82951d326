// What the gamblers bet on: counts of bad answers, against the current release or against a bound. Logarithms of fair or unfair bets.

/** How many times worse than tolerated each gambler believes the release to be. A missing factor costs little: neighbours cover it. */
const TIMES_WORSE = [1.2, 1.5, 2, 3, 5, 8, 13, 25, 50, 100, 250, 800] as const;

export interface Tolerance {
  readonly ratio: number;
  readonly share: number;
}

/** bad may be fractional, 0 to requests: each request is then bad to some degree. */
export interface Tally {
  readonly bad: number;
  readonly requests: number;
}

/**
 * Bets against "next answers badly with at most `ratio` times current's share, plus `share`" over one interval, whatever that share
 * is: it may differ in each interval, and so may the split of traffic.
 *
 * Given the sum of the bad ones, next's part of them is binomial with odds ratio*n : m where next is as bad as tolerated (n and m
 * requests), and with odds ratio*w*n : m where it is w times as bad: Lindon and Malek, "Anytime-Valid Inference for Multinomial Count
 * Data" (NeurIPS 2022, arXiv 2011.03567), on time-inhomogeneous Bernoulli and Poisson processes, for the canary tests of Lindon, Sanden
 * and Shirikian (KDD 2022, arXiv 2205.14762). The likelihood ratio is u^x v^y for x and y bad ones,
 *     u = w (ratio n + m) / (ratio w n + m),   v = (ratio n + m) / (ratio w n + m).
 * Without Poisson's approximation: with p, q the mean shares, E[u^x v^y] <= exp(n p (u-1) - m q (1-v)), since 1 + z <= e^z, and
 * ratio n (u-1) = m (1-v); so with p <= ratio q + share, u^x v^y exp(-share n (u-1)) has expectation at most 1 for every q. Fractional
 * y keeps it, as v^y <= 1 - y (1-v) on [0, 1].
 */
export function betsAgainst(next: Tally, current: Tally, { ratio, share }: Tolerance): readonly number[] {
  const expected = ratio * next.requests + current.requests;
  return TIMES_WORSE.map((worse) => {
    if (next.requests === 0 || current.requests === 0) return 0;
    const wide = ratio * worse * next.requests + current.requests;
    const v = expected / wide;
    const excess = (current.requests / wide) * (worse - 1);
    return next.bad * Math.log1p(excess) + current.bad * Math.log(v) - share * next.requests * excess;
  });
}

/**
 * Bets against "at most `bound` (0 to 1) of the requests are bad", in each interval: the likelihood ratio of Bernoulli trials, with the
 * odds of a bad one `worse` times those of the bound. E = ((1 + p (w-1)) / (1 + bound (w-1)))^n <= 1 for every p <= bound.
 */
export function betsAbove({ bad, requests }: Tally, bound: number): readonly number[] {
  return TIMES_WORSE.map((worse) => bad * Math.log(worse) - requests * Math.log1p(bound * (worse - 1)));
}

/**
 * The highest bound that `chance` still refutes: with probability 1 - chance the mean share of bad ones never was below it, at any time
 * (the sums suffice: the logarithm in betsAbove is concave in the bound). Bisection, to a millionth.
 */
export function lowerBound(tally: Tally, chance: number): number {
  const refuted = (bound: number): boolean =>
    betsAbove(tally, bound).some((gain) => gain >= Math.log(TIMES_WORSE.length / chance));
  let [low, high] = [0, tally.requests === 0 ? 0 : tally.bad / tally.requests];
  while (high - low > 1e-6) {
    const middle = (low + high) / 2;
    if (refuted(middle)) low = middle;
    else high = middle;
  }
  return low;
}
