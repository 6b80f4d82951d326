// The two judges that are compared: Berth's, and the fixed-interval threshold analysis of common rollout controllers.
import type { AnalysisConfig } from "../../contracts/analysis.ts";
import { beginStep, judge } from "../../core/analysis/judge.ts";
import { newJudge } from "../../core/analysis/state.ts";
import { beatsOf, type Beat, type Traffic } from "./streams.ts";

/** Looks at each heartbeat; true: the release is rejected. */
interface Watching {
  rejects(beat: Beat): boolean;
}

/** Each minute: fewer than 99 % of the new release's requests of that minute succeeded. A minute without requests passes. */
const INTERVAL_MS = 60_000;
const SUCCESS_MIN = 0.99;

function thresholdJudge(): Watching {
  let [requests, errors] = [0, 0];
  return {
    rejects({ atMs, next }) {
      requests += next.requests;
      errors += next.status.s5xx;
      if (atMs % INTERVAL_MS !== 0) return false;
      const rejected = requests > 0 && 1 - errors / requests < SUCCESS_MIN;
      [requests, errors] = [0, 0];
      return rejected;
    },
  };
}

function berthJudge(traffic: Traffic, config: AnalysisConfig): Watching {
  let state = newJudge(0);
  let weight = traffic.weightAt(0);
  return {
    rejects(beat) {
      const judgement = judge(state, beat, beat.atMs, config);
      ({ state } = judgement);
      const then = traffic.weightAt(beat.atMs + 1);
      if (then !== weight) state = beginStep(state, beat.atMs, config);
      weight = then;
      return judgement.verdict.kind === "fail";
    },
  };
}

/** After how many requests of the new release since fromMs it was rejected; null if it never was. */
export interface Rejections {
  readonly berth: number | null;
  readonly threshold: number | null;
}

/** Both judges on one and the same stream. */
export function race(traffic: Traffic, forMs: number, seed: string, config: AnalysisConfig, fromMs = 0): Rejections {
  const watching = { berth: berthJudge(traffic, config), threshold: thresholdJudge() };
  const found: { berth: number | null; threshold: number | null } = { berth: null, threshold: null };
  let requests = 0;
  for (const beat of beatsOf(traffic, forMs, seed)) {
    if (beat.atMs > fromMs) requests += beat.next.requests;
    for (const name of ["berth", "threshold"] as const) {
      if (found[name] === null && watching[name].rejects(beat)) found[name] = requests;
    }
    if (found.berth !== null && found.threshold !== null) break;
  }
  return found;
}
