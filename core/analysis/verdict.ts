// From evidence to a verdict: pass, fail, undecided or no_traffic, with its reason and numbers.
import type {
  AnalysisCheck,
  AnalysisConfig,
  AnalysisVerdict,
  JudgedRelease,
  ReleaseCounters,
  VerdictNumbers,
} from "../../contracts/analysis.ts";
import { chanceOf } from "./chance.ts";
import { checksOf } from "./checks.ts";
import { quantileMs } from "./counters.ts";
import { count, worseIn } from "./reasons.ts";
import type { JudgeState } from "./state.ts";

/** A step does not end well while the odds against chance are this high: under no regression they fall again by themselves. */
const SUSPICIOUS_ODDS = 10;

export function verdictOf(
  state: JudgeState,
  confirmed: boolean,
  nowMs: number,
  config: AnalysisConfig,
): AnalysisVerdict {
  const numbers = numbersOf(state, config);
  const said = (reason: string) => ({ reason, numbers, atMs: nowMs });
  const worst = numbers.checks.toSorted((a, b) => a.chance - b.chance)[0];
  const { totals, step } = state;
  const { minRequests } = config;
  if (worst === undefined) return { kind: "pass", ...said("no check is configured") };

  if (confirmed && totals.next.requests >= minRequests) {
    return { kind: "fail", check: worst.check, ...said(worseIn(worst.check, totals, worst.chance, config)) };
  }
  if (worst.chance * SUSPICIOUS_ODDS <= numbers.checks.length) {
    return { kind: "undecided", ...said(`perhaps worse: ${worseIn(worst.check, totals, worst.chance, config)}`) };
  }
  const short = shortage(step, comparesAny(numbers.checks), minRequests);
  if (short !== null) return { kind: "no_traffic", rule: config.noTraffic, ...said(short) };
  return { kind: "pass", ...said(`no regression in ${count(step.next)} requests of this step`) };
}

const COMPARING: ReadonlySet<AnalysisCheck> = new Set(["errors", "clientErrors", "latency"]);
const comparesAny = (checks: VerdictNumbers["checks"]): boolean => checks.some(({ check }) => COMPARING.has(check));

/** Of the new release's requests; and of the current one's, unless the new one was judged by itself. */
function shortage(step: JudgeState["step"], compares: boolean, minRequests: number): string | null {
  const needed = `of the ${count(minRequests)} requests that a judgement needs`;
  if (step.next < minRequests) return `the new release has had ${count(step.next)} ${needed}`;
  if (!compares || step.current >= minRequests || step.alone >= minRequests) return null;
  return `the current release has had ${count(step.current)} ${needed} to compare with`;
}

function numbersOf(state: JudgeState, config: AnalysisConfig): VerdictNumbers {
  return {
    next: judged(state.totals.next),
    current: judged(state.totals.current),
    stepRequests: state.step.next,
    checks: checksOf(config).map((check) => ({ check, chance: chanceOf(state, check, config) })),
  };
}

const judged = ({ requests, status, latency }: ReleaseCounters): JudgedRelease => ({
  requests,
  errors: status.s5xx,
  clientErrors: status.s4xx,
  p50Ms: quantileMs(latency, 0.5),
  p95Ms: quantileMs(latency, 0.95),
  p99Ms: quantileMs(latency, 0.99),
});
