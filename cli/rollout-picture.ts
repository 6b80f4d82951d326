// A rollout drawn for a terminal: its steps, who serves how much, and the judge's numbers side by side.
import pc from "picocolors";
import type { Rollout } from "../contracts/api.ts";
import type { AnalysisVerdict, JudgedRelease, VerdictNumbers } from "../contracts/analysis.ts";
import { chanceText } from "../contracts/chance-text.ts";
import { shownMs } from "./duration.ts";

const BAR_WIDTH = 30;

/** A bar of eighths of a character: value out of most. */
export function bar(value: number, most: number, width = BAR_WIDTH): string {
  if (most <= 0 || value <= 0) return "";
  const eighths = Math.max(1, Math.round((Math.min(value, most) / most) * width * 8));
  const rest = eighths % 8;
  return "█".repeat(Math.floor(eighths / 8)) + (rest === 0 ? "" : "▏▎▍▌▋▊▉"[rest - 1]!);
}

/** `step 2 of 4 at 20 %, until promoted` */
export function stepText({ step, paused }: Rollout, nowMs: number): string | null {
  if (step === null) return paused === null ? null : `paused by ${paused.by}`;
  const { index, of, weight, sinceMs, untilMs } = step;
  const where = `step ${index} of ${of}, ${weight} % of the traffic`;
  if (paused !== null) return `${where}; paused by ${paused.by}${paused.reason === null ? "" : `: ${paused.reason}`}`;
  if (sinceMs === null) return `${where} to come`;
  return untilMs === null ? `${where} until promoted` : `${where} for another ${shownMs(Math.max(0, untilMs - nowMs))}`;
}

/** Who serves how much, one bar each. */
export function weightLines(rollout: Rollout): string[] {
  return rollout.weights.map(({ version, weight }) => {
    const colour = version === rollout.toVersion ? pc.cyan : pc.dim;
    return `  v${version}`.padEnd(8) + `${String(weight).padStart(4)} %  ${colour(bar(weight, 100))}`;
  });
}

const VERDICT_WORDS: Record<AnalysisVerdict["kind"], string> = {
  pass: "no worse",
  fail: "worse",
  undecided: "not decided yet",
  no_traffic: "too few requests to judge",
};

/** `judged: no worse — no regression in 356 requests of this step` */
export function judgedText({ analysis }: Rollout): string | null {
  if (analysis === null) return null;
  const colour = analysis.kind === "fail" ? pc.red : analysis.kind === "pass" ? pc.green : pc.yellow;
  return `judged: ${colour(VERDICT_WORDS[analysis.kind])} — ${analysis.reason}`;
}

/** The judge's word, its reason, and the two releases beside each other. */
export function verdictLines(rollout: Rollout): string[] {
  const { analysis, toVersion, fromVersion } = rollout;
  if (analysis === null) return [];
  const { next, current, checks } = analysis.numbers;
  const [left, right] = [
    `v${toVersion}`,
    fromVersion === null || fromVersion === toVersion ? "before" : `v${fromVersion}`,
  ];
  const strongest = [...checks].sort((a, b) => a.chance - b.chance)[0];
  return [judgedText(rollout) ?? "", ...compare(left, next, right, current), ...evidenceLines(strongest, analysis)];
}

/** Once: which check is the least usual is no news where all is as it mostly is, or where the reason gives its chance. */
function evidenceLines(strongest: VerdictNumbers["checks"][number] | undefined, { reason }: AnalysisVerdict): string[] {
  if (strongest === undefined || strongest.chance >= 0.5) return [];
  const chance = chanceText(strongest.chance);
  return reason.includes(chance) ? [] : [`  evidence: ${strongest.check}, ${chance}`];
}

const percentOf = (count: number, { requests }: JudgedRelease): number | null =>
  requests === 0 ? null : (100 * count) / requests;

function compare(left: string, next: JudgedRelease, right: string, current: JudgedRelease): string[] {
  const rows: readonly (readonly [string, (of: JudgedRelease) => number | null, (value: number) => string])[] = [
    ["5xx", (of) => percentOf(of.errors, of), (value) => `${value.toFixed(value < 1 ? 2 : 1)} %`],
    ["4xx", (of) => percentOf(of.clientErrors, of), (value) => `${value.toFixed(value < 1 ? 2 : 1)} %`],
    ["p50", (of) => of.p50Ms, (value) => `${Math.round(value)} ms`],
    ["p95", (of) => of.p95Ms, (value) => `${Math.round(value)} ms`],
    ["p99", (of) => of.p99Ms, (value) => `${Math.round(value)} ms`],
  ];
  const lines = [requestsLine(left, next, right, current)];
  for (const [name, of, text] of rows) {
    const [a, b] = [of(next), of(current)];
    if (a === null && b === null) continue;
    const most = Math.max(a ?? 0, b ?? 0);
    const line = (who: string, value: number | null, colour: (text: string) => string): string =>
      `  ${name.padEnd(4)} ${who.padEnd(7)} ${(value === null ? "–" : text(value)).padStart(9)}  ${colour(bar(value ?? 0, most))}`;
    lines.push(line(left, a, pc.cyan), line(right, b, pc.dim));
  }
  return lines;
}

function requestsLine(
  left: string,
  next: VerdictNumbers["next"],
  right: string,
  current: VerdictNumbers["current"],
): string {
  const text = (of: JudgedRelease): string => of.requests.toLocaleString("en");
  return `  requests: ${left} ${text(next)}, ${right} ${text(current)}`;
}
