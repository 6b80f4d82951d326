// How surprising the evidence of a check would be if the release were no worse than tolerated.
import type { AnalysisCheck, AnalysisConfig } from "../../contracts/analysis.ts";
import { checksOf } from "./checks.ts";
import type { JudgeState } from "./state.ts";
import { logWealth } from "./wealth.ts";

/**
 * At most this likely, by Ville's inequality, times the number of checks (Bonferroni): while all hold, the chance that any of these ever
 * reaches falseAlarmRate is at most falseAlarmRate. 0 to 1.
 */
export function chanceOf(state: JudgeState, check: AnalysisCheck, config: AnalysisConfig): number {
  const wealth = state.wealth[check];
  if (wealth === undefined) return 1;
  return Math.min(1, checksOf(config).length * Math.exp(-logWealth(wealth)));
}
