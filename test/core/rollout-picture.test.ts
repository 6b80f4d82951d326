// docs/ROLLOUTS.md draws the phases of a rollout, and says which command does what in which: the same as the code.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ROLLOUT_COMMANDS, RolloutPlan } from "../../contracts/rollout-plan.ts";
import { AnalysisConfig, type AnalysisVerdict } from "../../contracts/analysis.ts";
import type { InstanceId, ReleaseId, RolloutId } from "../../contracts/ids.ts";
import { newJudge } from "../../core/analysis/state.ts";
import { judge } from "../../core/analysis/judge.ts";
import { NOTHING_COUNTED } from "../../core/analysis/counters.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { commandRollout } from "../../core/rollout/commands.ts";
import type { JobView, Seen } from "../../core/rollout/seen.ts";
import type { SlotView } from "../../core/rollout/slots.ts";
import { begun, stepRollout, turned } from "../../core/rollout/step.ts";
import { isActive, type RolloutRow } from "../../core/rollout/types.ts";

const text = readFileSync(new URL("../../docs/ROLLOUTS.md", import.meta.url), "utf8");
const picture = /```mermaid\nstateDiagram-v2\n([^]*?)```/.exec(text)?.[1] ?? "";

/** `one --> other`, with what is said of a group said of each in it. */
function drawn(): Set<string> {
  const groups = new Map([...picture.matchAll(/state (\w+) \{([^}]*)\}/g)].map(([, name, body]) => [name!, body!]));
  const edges = new Set<string>();
  for (const [, from, to] of picture.matchAll(/^\s*(\S+) --> ([\w[\]*]+)/gm)) {
    const body = groups.get(from!);
    const members = body === undefined ? [from!] : new Set(body.match(/^\s*\w+(?=\s|:)/gm)!.map((word) => word.trim()));
    for (const member of members) edges.add(`${member} --> ${to}`);
  }
  return edges;
}

const REPLICAS = 2;
const target = (version: number) => {
  return { release: `rel_${version}` as ReleaseId, version, replicas: REPLICAS, cohort: `c${version}` };
};
const FAILURE = { code: "exited" as const, message: "exit 1", exitCode: 1, signal: null, logTail: [] };
const COMMAND = { command: ["x"], timeoutMs: 60_000 };
const PLANS = [
  {},
  { strategy: { kind: "immediate" } },
  { strategy: { kind: "blue_green", promote: "manual" } },
  { strategy: { kind: "canary", steps: [{ weight: 10 }, { weight: 50, durationMs: 5_000 }] } },
];
const plan = fc
  .tuple(fc.constantFrom(...PLANS), fc.boolean(), fc.boolean())
  .map(([base, before, after]) =>
    RolloutPlan.parse({ ...base, ...(before ? { before: COMMAND } : {}), ...(after ? { after: COMMAND } : {}) }),
  );

const slot = fc.tuple(fc.constantFrom("ready", "ready", "ready", "missing", "failed"), fc.nat(1)).map(([kind, at]) => {
  const placed = { instance: `ins_${at}` as InstanceId, generation: 1, node: null };
  if (kind === "missing") return { kind: "missing" } as const;
  return kind === "ready" ? ({ kind, ...placed } as const) : ({ kind: "failed", failure: FAILURE, ...placed } as const);
}) satisfies fc.Arbitrary<SlotView>;
const job = fc.constantFrom<JobView | null>(
  null,
  { kind: "ended", exitCode: 0, message: "", logTail: [] },
  { kind: "ended", exitCode: 1, message: "", logTail: [] },
);
const seen: fc.Arbitrary<Seen> = fc.record({
  slots: fc.array(slot, { minLength: REPLICAS, maxLength: REPLICAS }),
  job,
});
const nothing = { next: NOTHING_COUNTED, current: NOTHING_COUNTED };
const { numbers } = judge(newJudge(0), nothing, 0, AnalysisConfig.parse({})).verdict;
const verdict = fc.constantFrom<AnalysisVerdict>(
  { kind: "pass", reason: "", numbers, atMs: 0 },
  { kind: "fail", check: "errors", reason: "", numbers, atMs: 0 },
);
const act = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant("look" as const), seen, all: fc.boolean(), verdict }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("say" as const), command: fc.constantFrom(...ROLLOUT_COMMANDS) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("supersede" as const) }) },
);

function first(of: RolloutPlan): RolloutRow {
  const row: RolloutRow = {
    id: "roll_x" as RolloutId,
    reason: "release",
    from: target(1),
    to: target(2),
    plan: of,
    startedAtMs: 0,
    deadlineAtMs: 1_000_000,
    startedBy: "user:x",
    shed: 0,
    stage: 0,
    weight: 0,
    slots: 0,
    phase: { kind: "preparing", ready: 0, sinceMs: 0 },
  };
  return of.before ? row : begun(row);
}

/** By command and phase, what came of it. */
type Words = Map<string, Set<"taken" | "refused">>;

/** Whether each command is taken in this phase, in one that is paused. */
function tryAll(row: RolloutRow, words: Words): void {
  for (const command of ROLLOUT_COMMANDS) {
    const { kind } = commandRollout(row, { command, by: "user:x", reason: null }, 0);
    const key = `${command} ${row.phase.kind}${row.paused ? " paused" : ""}`;
    words.set(key, (words.get(key) ?? new Set()).add(kind));
  }
}

/** What the code does, one transition at a time, on many walks. */
function walked(): { edges: Set<string>; words: Words } {
  const edges = new Set<string>();
  const words: Words = new Map();
  const walks = fc.sample(fc.tuple(plan, fc.array(act, { minLength: 10, maxLength: 40 })), {
    seed: 4,
    numRuns: 12_000,
  });
  for (const [chosen, acts] of walks) {
    let row = first(chosen);
    edges.add(`[*] --> ${row.phase.kind}`);
    for (const [at, next] of acts.entries()) {
      if (!isActive(row.phase)) break;
      const before = row.phase.kind;
      tryAll(row, words);
      const nowMs = at * 4_000;
      if (next.kind === "look") {
        const verified = next.all ? ["ins_0/1", "ins_1/1"] : [];
        row = turned({ ...row, verified, verdict: next.verdict }, next.seen, nowMs, DEFAULT_LIMITS);
      } else if (next.kind === "supersede") row = stepRollout(row, { kind: "supersede" }, nowMs, DEFAULT_LIMITS);
      else {
        const outcome = commandRollout(row, { command: next.command, by: "user:x", reason: null }, nowMs);
        if (outcome.kind === "taken") row = outcome.row;
      }
      if (row.phase.kind !== before) edges.add(`${before} --> ${row.phase.kind}`);
    }
  }
  return { edges, words };
}

describe("docs/ROLLOUTS.md", () => {
  const { edges, words } = walked();

  it("draws every transition that the code makes, and no other", () => {
    expect([...drawn()].sort()).toEqual([...edges].sort());
  });

  it.each(ROLLOUT_COMMANDS)("says in which phases %s is taken", (command) => {
    const row = new RegExp(`^\\| \`${command}\` \\|([^|]*)\\|`, "m").exec(text)?.[1] ?? "";
    for (const phase of ["preparing", "rolling", "verifying", "holding", "finishing"]) {
      const isNamed = /any phase/.test(row) || row.includes(phase);
      expect([...words.get(`${command} ${phase}`)!], phase).toEqual([isNamed ? "taken" : "refused"]);
      expect([...words.get(`${command} ${phase} paused`)!], `${phase}, paused`).toEqual(["taken"]);
    }
  });
});
