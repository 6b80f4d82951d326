// berth.toml: an app's settings as a person writes them ("256MB", "2s"), turned into what the API takes.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify, TomlError } from "smol-toml";
import { z } from "zod";
import { DnsLabel } from "../contracts/ids.ts";
import { Command, LabelName, RuntimeClass } from "../contracts/release.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { duration, size } from "./quantities.ts";
import { HttpToml, RolloutToml } from "./rollout-toml.ts";
import { closest } from "./suggest.ts";
import { tomlFaults } from "./toml-faults.ts";

export const BERTH_TOML = "berth.toml";

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

/** How it is run on its nodes. */
const RunToml = z.strictObject({ runtime_class: RuntimeClass.optional() });

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
  run: RunToml.optional(),
  resources: z
    .strictObject({
      cpu: z.number().positive().optional(),
      memory: size.optional(),
      disk: size.optional(),
      pids: z.int().optional(),
    })
    .optional(),
  placement: PlacementToml.optional(),
  http: HttpToml.optional(),
  rollout: RolloutToml.optional(),
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
  const faults = tomlFaults(parsed.error.issues, [], suggestion);
  throw new CommandFailure(`${path} has faults:${faults}`, EXIT.usage, "docs/CLI.md lists every key.");
}

function suggestion(issue: z.core.$ZodIssue): string {
  if (issue.code !== "unrecognized_keys") return "";
  const tables: Record<string, object> = {
    run: RunToml.shape,
    placement: PlacementToml.shape,
    http: HttpToml.shape,
    rollout: RolloutToml.shape,
  };
  const known = Object.keys(tables[String(issue.path[0])] ?? BerthToml.shape);
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
