// The agent's command line and environment, parsed into what the commands need.
import { statfsSync } from "node:fs";
import { availableParallelism, hostname, totalmem } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { NodeCapacity } from "../../contracts/agent-protocol.ts";
import { DnsLabel, RegionName } from "../../contracts/ids.ts";
import { AGENT_LIMITS, agentLimitsFrom, type AgentLimits } from "../../core/converge/limits.ts";

export const USAGE = `usage: agent.mjs <command> --dir D [options]

commands
  run       run the node's agent
  gateway   run the node's gateway (the agent starts it by itself)
  watchdog  stop strict singletons whose lease ran out (the agent starts it by itself)
  status    say what this folder's node is and runs, as JSON
  purge     stop this node's agent, gateway and instances; its identity stays

options of run
  --control URL           the control plane
  --token T               a join token, for the first start (or BERTH_JOIN_TOKEN)
  --name N                the node's name [this host's]
  --region R              [local]
  --failure-domain F      such as the rack [the name]
  --runtime R             docker, process (trusted code only) or auto [auto]
  --gateway-host H        address that the gateway listens on [127.0.0.1]
  --gateway-port P        [7070]
  --gateway-url U         where the edge reaches it [http://<gateway-host>:<gateway-port>]
  --capacity-cpu-milli N, --capacity-memory-bytes N, --capacity-disk-bytes N, --capacity-pids N
  --label K=V             may be repeated
`;

const port = z.coerce.number().int().min(1).max(65_535);
const capacityOf = (ours: number) => z.coerce.number().int().positive().default(ours);

const Common = z.object({
  dir: z
    .string({ message: "--dir is missing" })
    .min(1)
    .transform((dir) => resolve(dir)),
});
const Gateway = Common.extend({ "gateway-host": z.string().default("127.0.0.1"), "gateway-port": port.default(7070) });

const Watchdog = Common.extend({ "watch-ms": z.coerce.number().int().min(10).default(AGENT_LIMITS.strictWatchMs) });

export interface RunOptions {
  readonly dir: string;
  readonly control: string;
  readonly token: string | null;
  readonly name: string;
  readonly region: RegionName;
  readonly failureDomain: string;
  readonly runtime: "docker" | "process" | "auto";
  readonly gatewayHost: string;
  readonly gatewayPort: number;
  readonly gatewayUrl: string;
  readonly capacity: NodeCapacity;
  readonly labels: Readonly<Record<string, string>>;
  readonly limits: AgentLimits;
}

export type Command =
  | { readonly kind: "run"; readonly options: RunOptions }
  | { readonly kind: "gateway"; readonly dir: string; readonly host: string; readonly port: number }
  | { readonly kind: "watchdog"; readonly dir: string; readonly watchMs: number }
  | { readonly kind: "purge"; readonly dir: string }
  | { readonly kind: "status"; readonly dir: string }
  | { readonly kind: "help" };

const text = { type: "string" } as const;
const FLAGS = {
  dir: text,
  control: text,
  token: text,
  name: text,
  region: text,
  "failure-domain": text,
  runtime: text,
  "gateway-host": text,
  "gateway-port": text,
  "gateway-url": text,
  "capacity-cpu-milli": text,
  "capacity-memory-bytes": text,
  "capacity-disk-bytes": text,
  "capacity-pids": text,
  "watch-ms": text,
  label: { type: "string", multiple: true },
  help: { type: "boolean", short: "h" },
} as const;

/** Throws with a message for people. */
export function readCommand(argv: readonly string[], environment: NodeJS.ProcessEnv): Command {
  const { values, positionals } = parseArgs({ args: [...argv], options: FLAGS, allowPositionals: true });
  const [command, ...rest] = positionals;
  if (values.help || command === undefined) return { kind: "help" };
  if (rest.length > 0) throw new Error(`unexpected: ${rest.join(" ")}`);
  switch (command) {
    case "run":
      return { kind: "run", options: readRun(values, environment) };
    case "gateway": {
      const parsed = parse(Gateway, values);
      return { kind: "gateway", dir: parsed.dir, host: parsed["gateway-host"], port: parsed["gateway-port"] };
    }
    case "watchdog": {
      const parsed = parse(Watchdog, values);
      return { kind: "watchdog", dir: parsed.dir, watchMs: parsed["watch-ms"] };
    }
    case "purge":
    case "status":
      return { kind: command, dir: parse(Common, values).dir };
    default:
      throw new Error(`there is no command ${command}`);
  }
}

function readRun(values: Record<string, unknown>, environment: NodeJS.ProcessEnv): RunOptions {
  const { dir } = parse(Common, values);
  const Run = Gateway.extend({
    control: z.url({ protocol: /^https?$/, message: "--control must be an http(s) URL" }),
    token: z.string().optional(),
    name: DnsLabel.default(hostname().toLowerCase().split(".")[0] ?? "node"),
    region: RegionName.default(RegionName.parse("local")),
    "failure-domain": z.string().min(1).max(63).optional(),
    runtime: z.enum(["docker", "process", "auto"]).default("auto"),
    "gateway-url": z.url({ protocol: /^https?$/ }).optional(),
    "capacity-cpu-milli": capacityOf(availableParallelism() * 1_000),
    // The host, its Engine and we ourselves live on the rest.
    "capacity-memory-bytes": capacityOf(Math.floor(totalmem() * 0.85)),
    "capacity-disk-bytes": capacityOf(freeDiskBytes()),
    "capacity-pids": capacityOf(32_768),
    label: z.array(z.string().regex(/^[^=]{1,63}=.{0,63}$/, { message: "--label must be K=V" })).default([]),
  });
  const run = parse(Run, values);
  const host = run["gateway-host"];
  return {
    dir,
    control: run.control,
    token: run.token ?? environment.BERTH_JOIN_TOKEN ?? null,
    name: run.name,
    region: run.region,
    failureDomain: run["failure-domain"] ?? run.name,
    runtime: run.runtime,
    gatewayHost: host,
    gatewayPort: run["gateway-port"],
    gatewayUrl: run["gateway-url"] ?? `http://${host.includes(":") ? `[${host}]` : host}:${run["gateway-port"]}`,
    capacity: NodeCapacity.parse({
      cpuMilli: run["capacity-cpu-milli"],
      memoryBytes: run["capacity-memory-bytes"],
      diskBytes: run["capacity-disk-bytes"],
      pids: run["capacity-pids"],
    }),
    labels: Object.fromEntries(run.label.map((label) => label.split(/=(.*)/s).slice(0, 2) as [string, string])),
    limits: agentLimitsFrom(JSON.parse(environment.BERTH_TUNING ?? "{}") as Record<string, unknown>),
  };
}

function parse<Schema extends z.ZodType>(schema: Schema, values: unknown): z.output<Schema> {
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  throw new Error(parsed.error.issues.map(({ path, message }) => `--${path.join(".")}: ${message}`).join("; "));
}

function freeDiskBytes(): number {
  const { bavail, bsize } = statfsSync("/");
  return bavail * bsize;
}
