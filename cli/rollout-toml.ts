// [rollout] and [http] of berth.toml: how a release comes into service and how requests are passed on, as a person writes it.
import { z } from "zod";
import type { HttpPolicy } from "../contracts/release.ts";
import { Amount, RolloutPlan, STRATEGY_KINDS, waitsMsOf } from "../contracts/rollout-plan.ts";
import { shownMs } from "./duration.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { duration, size } from "./quantities.ts";
import { tomlFaults } from "./toml-faults.ts";

const CommandToml = z.strictObject({ command: z.array(z.string()), timeout: duration.optional() });
const ToleranceToml = z.strictObject({ ratio: z.number().optional(), share: z.number().optional() });

/** false switches a check off. Keys are AnalysisConfig's, in this file's spelling. */
const AnalysisToml = z.strictObject({
  false_alarm_rate: z.number().optional(),
  min_requests: z.int().optional(),
  no_traffic: z.enum(["hold", "pass"]).optional(),
  errors: z.union([z.literal(false), ToleranceToml]).optional(),
  client_errors: z.union([z.literal(false), ToleranceToml]).optional(),
  latency: z
    .union([
      z.literal(false),
      z.strictObject({
        slower_percent: z.number().optional(),
        share: z.number().optional(),
        floor: duration.optional(),
        warm_up: duration.optional(),
      }),
    ])
    .optional(),
  max_error_rate: z.number().optional(),
  max_error_rate_alone: z.union([z.literal(false), z.number()]).optional(),
  max_p95: duration.optional(),
  max_p99: duration.optional(),
});

/** Keys of every strategy; which of them belong to which is checked when the plan is made. */
export const RolloutToml = z.strictObject({
  strategy: z.enum(STRATEGY_KINDS.map((kind) => kind.replace("_", "-")) as [string, ...string[]]).optional(),
  deadline: duration.optional(),
  max_surge: Amount.optional(),
  max_unavailable: Amount.optional(),
  pause: duration.optional(),
  promote: z.enum(["automatic", "manual"]).optional(),
  watch: duration.optional(),
  warm: duration.optional(),
  steps: z.array(z.strictObject({ weight: z.int(), for: duration.optional() })).optional(),
  smoke: z
    .strictObject({ path: z.string(), status_min: z.int().optional(), status_max: z.int().optional() })
    .optional(),
  before: CommandToml.optional(),
  after: CommandToml.optional(),
  analysis: z.union([z.literal(false), AnalysisToml]).optional(),
});
type RolloutToml = z.infer<typeof RolloutToml>;

/** Which keys say something about which strategy. */
const KEYS_OF = {
  rolling: ["max_surge", "max_unavailable", "pause"],
  blue_green: ["promote", "watch", "warm"],
  canary: ["steps"],
  immediate: [],
} as const satisfies Record<(typeof STRATEGY_KINDS)[number], readonly (keyof RolloutToml)[]>;

/** What the API takes, or undefined where neither file nor flag says anything. strategy: the flag's word, which wins. */
export function planOf(toml: RolloutToml | undefined, strategy: string | undefined): RolloutPlan | undefined {
  if (toml === undefined && strategy === undefined) return undefined;
  const kind = (strategy ?? toml?.strategy ?? "rolling").replace("-", "_") as keyof typeof KEYS_OF;
  if (!(kind in KEYS_OF)) {
    const known = Object.keys(KEYS_OF).map((name) => name.replace("_", "-"));
    throw new CommandFailure(`There is no strategy ${strategy}: it is one of ${known.join(", ")}.`, EXIT.usage);
  }
  const own = toml ?? {};
  // A flag that picks another strategy than the file's leaves the file's settings of that one aside.
  const others = strategy === undefined ? Object.entries(KEYS_OF).filter(([name]) => name !== kind) : [];
  for (const [name, keys] of others) {
    const stray = keys.find((key) => own[key] !== undefined);
    if (stray !== undefined) {
      const message = `berth.toml: rollout.${stray} belongs to the strategy ${name.replace("_", "-")}, not ${kind.replace("_", "-")}.`;
      throw new CommandFailure(
        message,
        EXIT.usage,
        `Take it out, or set rollout.strategy = "${name.replace("_", "-")}".`,
      );
    }
  }
  const candidate = defined({
    strategy: strategyOf(kind, own),
    analysis: analysisOf(own.analysis),
    smoke:
      own.smoke && defined({ path: own.smoke.path, statusMin: own.smoke.status_min, statusMax: own.smoke.status_max }),
    before: own.before && defined({ command: own.before.command, timeoutMs: own.before.timeout }),
    after: own.after && defined({ command: own.after.command, timeoutMs: own.after.timeout }),
  });
  const parsed = RolloutPlan.safeParse(candidate);
  const waitsMs = parsed.success ? waitsMsOf(parsed.data) : 0;
  if (own.deadline !== undefined && own.deadline <= waitsMs) {
    const message = `berth.toml: rollout.deadline is ${shownMs(own.deadline)}, but its steps alone take ${shownMs(waitsMs)}.`;
    throw new CommandFailure(message, EXIT.usage, "Make it longer, or leave it out: the default counts the steps in.");
  }
  if (parsed.success) return parsed.data;
  const faults = tomlFaults(parsed.error.issues, ["rollout"]);
  throw new CommandFailure(`berth.toml has faults:${faults}`, EXIT.usage, "docs/CLI.md lists every key.");
}

function strategyOf(kind: keyof typeof KEYS_OF, toml: RolloutToml): object {
  switch (kind) {
    case "rolling":
      return defined({ kind, maxSurge: toml.max_surge, maxUnavailable: toml.max_unavailable, pauseMs: toml.pause });
    case "blue_green":
      return defined({ kind, promote: toml.promote, watchMs: toml.watch, warmMs: toml.warm });
    case "canary":
      return defined({
        kind,
        steps: toml.steps?.map((step) => defined({ weight: step.weight, durationMs: step.for })),
      });
    case "immediate":
      return { kind };
  }
}

function analysisOf(toml: RolloutToml["analysis"]): object | null | undefined {
  if (toml === undefined) return undefined;
  if (toml === false) return null;
  const { latency } = toml;
  return defined({
    falseAlarmRate: toml.false_alarm_rate,
    minRequests: toml.min_requests,
    noTraffic: toml.no_traffic,
    errors: offOr(toml.errors),
    clientErrors: offOr(toml.client_errors),
    latency:
      latency === undefined || latency === false
        ? offOr(latency)
        : defined({
            slowerPercent: latency.slower_percent,
            share: latency.share,
            floorMs: latency.floor,
            warmUpMs: latency.warm_up,
          }),
    maxErrorRate: toml.max_error_rate,
    maxErrorRateAlone: offOr(toml.max_error_rate_alone),
    maxP95Ms: toml.max_p95,
    maxP99Ms: toml.max_p99,
  });
}

const offOr = <Value>(value: Value | false | undefined): Value | null | undefined => (value === false ? null : value);

export const HttpToml = z.strictObject({
  connect_timeout: duration.optional(),
  first_byte_timeout: duration.optional(),
  idle_timeout: duration.optional(),
  max_body: size.optional(),
  preview: z.enum(["open", "signed"], { error: 'must be "open" or "signed"' }).optional(),
  sticky: z
    .discriminatedUnion(
      "by",
      [
        z.strictObject({ by: z.literal("cookie"), ttl: duration.optional() }),
        z.strictObject({ by: z.literal("header"), name: z.string() }),
      ],
      { error: 'must be { by = "cookie" } or { by = "header", name = "…" }' },
    )
    .optional(),
});

/** Checked with the release it belongs to. */
export function httpOf(toml: z.infer<typeof HttpToml> | undefined): Partial<z.input<typeof HttpPolicy>> | undefined {
  if (toml === undefined) return undefined;
  const { sticky } = toml;
  return defined({
    connectTimeoutMs: toml.connect_timeout,
    firstByteTimeoutMs: toml.first_byte_timeout,
    idleTimeoutMs: toml.idle_timeout,
    bodyBytesMax: toml.max_body,
    preview: toml.preview,
    sticky:
      sticky?.by === "cookie"
        ? { kind: "cookie" as const, ...(sticky.ttl === undefined ? {} : { ttlMs: sticky.ttl }) }
        : sticky && { kind: "header" as const, name: sticky.name },
  });
}

function defined<T extends Record<string, unknown>>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
