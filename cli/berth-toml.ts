// berth.toml: an app's settings as a person writes them ("256MB", "2s"), turned into what the API takes.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify, TomlError } from "smol-toml";
import { z } from "zod";
import { DnsLabel } from "../contracts/ids.ts";
import { Command, LabelName } from "../contracts/release.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { closest } from "./suggest.ts";

export const BERTH_TOML = "berth.toml";

const SIZES: Record<string, number> = {
  b: 1,
  kb: 1024,
  mb: 1024 ** 2,
  gb: 1024 ** 3,
  tb: 1024 ** 4,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
};
const TIMES: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };

/** A number with a unit out of `units`, as the smallest unit. */
function quantity(units: Record<string, number>, example: string) {
  return z.string().transform((text, issues) => {
    const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text.trim());
    const factor = match === null ? undefined : units[(match[2] ?? "").toLowerCase()];
    if (match === null || factor === undefined) {
      issues.addIssue({ code: "custom", message: `must be a number and a unit, such as "${example}"` });
      return z.NEVER;
    }
    return Math.round(Number(match[1]) * factor);
  });
}
const size = quantity(SIZES, "256MB");
const duration = quantity(TIMES, "2s");

const ProbeToml = z
  .strictObject({
    path: z.string().optional(),
    period: duration.optional(),
    timeout: duration.optional(),
    failures: z.int().optional(),
  })
  .transform(({ path, period, timeout, failures }) => ({
    ...(path === undefined ? { kind: "tcp" as const } : { kind: "http" as const, path }),
    ...(period === undefined ? {} : { periodMs: period }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(failures === undefined ? {} : { failureThreshold: failures }),
  }));

/** Keys are PlacementPolicy's, in this file's spelling. */
const PlacementToml = z.strictObject({
  strategy: z.enum(["pack", "spread"]).optional(),
  failure_domains: z.enum(["preferred", "required"]).optional(),
  nodes: z.enum(["preferred", "required"]).optional(),
  labels: z.record(LabelName, z.string().max(63)).optional(),
  away_from: z.array(DnsLabel).max(16).optional(),
  host_ports: z.array(z.int().min(1).max(65_535)).max(16).optional(),
  singleton: z.enum(["available", "strict"]).optional(),
});

export const BerthToml = z.strictObject({
  app: DnsLabel,
  image: z.string().optional(),
  folder: z.string().optional(),
  command: Command.optional(),
  port: z.int().min(1).max(65_535).optional(),
  replicas: z.int().min(0).max(1_000).optional(),
  project: DnsLabel.optional(),
  regions: z.array(z.string()).optional(),
  stop_grace: duration.optional(),
  read_only_root: z.boolean().optional(),
  resources: z
    .strictObject({
      cpu: z.number().positive().optional(),
      memory: size.optional(),
      disk: size.optional(),
      pids: z.int().optional(),
    })
    .optional(),
  placement: PlacementToml.optional(),
  probes: z
    .strictObject({ startup: ProbeToml.optional(), readiness: ProbeToml.optional(), liveness: ProbeToml.optional() })
    .optional(),
});
export type BerthToml = z.infer<typeof BerthToml>;

/** The file of a folder, or null where there is none. What is wrong in it is said by key. */
export function readBerthToml(folder: string): BerthToml | null {
  const path = join(folder, BERTH_TOML);
  if (!existsSync(path)) return null;
  let raw: unknown;
  try {
    raw = parse(readFileSync(path, "utf8"));
  } catch (cause) {
    if (cause instanceof TomlError)
      throw new CommandFailure(`${path}:${cause.line}:${cause.column}: ${cause.message.split("\n")[0]}`, EXIT.usage);
    throw cause;
  }
  const parsed = BerthToml.safeParse(raw);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(
    (issue) => `\n  ${[...issue.path].join(".") || "(top)"}: ${issue.message}${suggestion(issue)}`,
  );
  throw new CommandFailure(`${path} has faults:${faults.join("")}`, EXIT.usage, "docs/CLI.md lists every key.");
}

function suggestion(issue: z.core.$ZodIssue): string {
  if (issue.code !== "unrecognized_keys") return "";
  const known = Object.keys(issue.path[0] === "placement" ? PlacementToml.shape : BerthToml.shape);
  const near = issue.keys.map((key) => closest(key, known)).find((key) => key !== null);
  return near == null ? "" : ` (did you mean ${near}?)`;
}

/** A first berth.toml for `berth init`. */
export function berthTomlText(values: {
  app: string;
  image?: string;
  command?: readonly string[];
  port: number;
  replicas: number;
}): string {
  const { app, image, command, port, replicas } = values;
  const source = image === undefined ? { folder: "." } : { image };
  const head = stringify({
    app,
    ...source,
    ...(command === undefined ? {} : { command: [...command] }),
    port,
    replicas,
  });
  const rest = stringify({
    resources: { cpu: 0.25, memory: "256MB" },
    probes: { readiness: { path: "/" } },
  });
  return `${head}\n${rest}`;
}
