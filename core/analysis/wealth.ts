// Evidence as the wealth of gamblers who bet on "worse": a mixture over how much worse and since when, in logarithms.

/** logs: of each gambler's wealth, those of all earlier starts together; empty before the first round. */
export interface Wealth {
  readonly logs: readonly number[];
  readonly rounds: number;
}

export const NO_WEALTH: Wealth = { logs: [], rounds: 0 };

/**
 * One round. `gains[k]` is the logarithm of a bet whose expectation is at most 1 while the release is no worse than tolerated; the
 * gamblers share the capital 1 equally. Of it, 1/(s(s+1)) begins to play in round s and the rest, 1/(s+1), still waits: a proper prior
 * over the moment of a change, so that an hour of good numbers does not outweigh a regression that begins then (the statistic of
 * Shiryaev, 1963, for unknown gains, and with a prior of mass 1, which bounds false alarms for ever instead of their rate). A mixture of
 * supermartingales is one, so by Ville's inequality P(wealth ever >= 1/a) <= a, whenever one looks.
 */
export function played(wealth: Wealth, gains: readonly number[]): Wealth {
  const round = wealth.rounds + 1;
  const fresh = -Math.log(gains.length) - Math.log(round) - Math.log(round + 1);
  const known = wealth.logs.length === gains.length;
  const logs = gains.map((gain, k) => (known ? logAdd(wealth.logs[k]!, fresh) : fresh) + gain);
  return { logs, rounds: round };
}

/** The logarithm of the whole capital: what has played and what waits. */
export function logWealth({ logs, rounds }: Wealth): number {
  let total = -Math.log(rounds + 1);
  for (const log of logs) total = logAdd(total, log);
  return total;
}

function logAdd(a: number, b: number): number {
  const high = Math.max(a, b);
  return high + Math.log1p(Math.exp(Math.min(a, b) - high));
}
