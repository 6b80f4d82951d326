// The agent's command line and environment, parsed into what the commands need.
import { readFileSync, statfsSync } from "node:fs";
import { availableParallelism, hostname, totalmem } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { ReleaseKey } from "../../contracts/agent-release.ts";
import { NodeCapacity } from "../../contracts/agent-protocol.ts";
import { DEFAULT_HOST_PORTS, HostPorts, offeredByAny, withoutPort } from "../../contracts/host-ports.ts";
import { NodeName, RegionName } from "../../contracts/ids.ts";
import { type ListenFds, parseFds } from "../ingress/hand-over.ts";
import { INGRESS_FLAGS, ingressOf, type IngressPlace } from "./break-glass/ingress-options.ts";
import { AGENT_LIMITS, agentLimitsFrom, type AgentLimits } from "../../core/converge/limits.ts";
import { ISOLATION_FLAGS, isolationOf, type IsolationOptions, ratesOf } from "./firewall/options.ts";
import { reached, type Reached } from "./reach/options.ts";
import { PINNED_RELEASE_KEYS } from "./version.ts";

export const USAGE = `usage: agent.mjs <command> --dir D [options]

commands
  run       run the node's agent
  gateway   run the node's gateway (the agent starts it by itself)
  ingress   run the node's ingress (the agent starts it by itself)
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
  --transport T           auto (a WebSocket to the control plane, HTTP where none comes about) or http [auto]
  --gateway-host H        address that the gateway listens on [127.0.0.1]
  --gateway-port P        [7070]
  --gateway-url U         where the edge reaches it [the node's own name, where the control plane gives one;
                          else http://<gateway-host>:<gateway-port>]
  --reach W               direct, relay (through another node, for one that nobody can dial) or cloudflared (Cloudflare's tunnel,
                          which must be installed; with --gateway-url, the tunnel's name) [direct]
  --cloudflared-token-file F  the tunnel's token
  --public-address A      for the node's DNS record; may be repeated [the public ones of this host's interfaces]
  --ingress TLS,PLAIN     ports of the break-glass ingress, such as 443,80 [none: this node is no ingress]
  --ingress-host H        address that it listens on [::]
  --ingress-certificates D  a folder of PEM files (chain and key in one) beside those that are ordered; watched
  --tls-cert F, --tls-key F  certificate (with its chain) and key, PEM; watched [a certificate is ordered]
  --acme-email E          whom the certificates' issuer may write to
  --capacity-cpu-milli N, --capacity-memory-bytes N, --capacity-disk-bytes N, --capacity-pids N
  --host-ports LIST       host ports that instances may have: ports and ranges, or none [1024-65535; none unless --reach direct]
  --firewall W            between tenants: required (nothing is started without it), auto (as far as it can be had) or off [auto]
  --egress-allow A        ADDRESS[/BITS][:PORT[/tcp or /udp]] that containers may reach though it is private; may be repeated
  --outbound-allow LIST   names, addresses and ranges that images are pulled from though they are private: a registry in the rack
  --container-dns A       whom containers ask for names, up to three times [whom this host asks]
  --io-bytes-per-second N, --io-operations-per-second N  that an instance may read or write of the disk [268435456, 10000]
  --label K=V             may be repeated
  --release-keys FILE     a JSON list of public keys (JWKs) that sign agent releases, beside those in this bundle
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
const GatewayProcess = Gateway.extend({ "listen-fd": z.coerce.number().int().min(3).optional() });

const Ingress = Common.extend(INGRESS_FLAGS);
const FDS = /^\d{1,5}=\d{1,5}(?:,\d{1,5}=\d{1,5})*$/;
const IngressProcess = Ingress.extend({ "ingress-fds": z.string().regex(FDS).transform(parseFds).optional() });
const Watchdog = Common.extend({ "watch-ms": z.coerce.number().int().min(10).default(AGENT_LIMITS.strictWatchMs) });

export interface RunOptions extends Reached, IsolationOptions {
  readonly dir: string;
  readonly control: string;
  readonly token: string | null;
  readonly name: string;
  readonly region: RegionName;
  readonly failureDomain: string;
  readonly runtime: "docker" | "process" | "auto";
  readonly transport: "auto" | "http";
  readonly gatewayHost: string;
  readonly gatewayPort: number;
  /** null: this node is no ingress. */
  readonly ingress: IngressPlace | null;
  readonly acmeEmail: string | null;
  readonly capacity: NodeCapacity;
  /** What the operator offers, without the gateway's own. */
  readonly hostPorts: HostPorts;
  readonly labels: Readonly<Record<string, string>>;
  readonly limits: AgentLimits;
  /** Whose signatures on agent releases count. */
  readonly releaseKeys: readonly ReleaseKey[];
}

export type Command =
  | { readonly kind: "run"; readonly options: RunOptions }
  | {
      readonly kind: "gateway";
      readonly dir: string;
      readonly host: string;
      readonly port: number;
      /** The listening socket that the gateway before hands over. */
      readonly listenFd?: number;
    }
  | { readonly kind: "ingress"; readonly dir: string; readonly place: IngressPlace; readonly listenFds?: ListenFds }
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
  transport: text,
  "gateway-host": text,
  "gateway-port": text,
  "gateway-url": text,
  reach: text,
  "cloudflared-token-file": text,
  "public-address": { type: "string", multiple: true },
  "tls-cert": text,
  "tls-key": text,
  "acme-email": text,
  ingress: text,
  "ingress-host": text,
  "ingress-certificates": text,
  "ingress-fds": text,
  "capacity-cpu-milli": text,
  "capacity-memory-bytes": text,
  "capacity-disk-bytes": text,
  "capacity-pids": text,
  "watch-ms": text,
  "listen-fd": text,
  "release-keys": text,
  "host-ports": text,
  firewall: text,
  "egress-allow": { type: "string", multiple: true },
  "outbound-allow": text,
  "container-dns": { type: "string", multiple: true },
  "io-bytes-per-second": text,
  "io-operations-per-second": text,
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
      const { dir, "gateway-host": host, "gateway-port": port, "listen-fd": listenFd } = parse(GatewayProcess, values);
      return { kind: "gateway", dir, host, port, ...(listenFd === undefined ? {} : { listenFd }) };
    }
    case "ingress": {
      const { "ingress-fds": listenFds, ...parsed } = parse(IngressProcess, values);
      const place = ingressOf(parsed);
      if (place === null) throw new Error("--ingress is missing");
      return { kind: "ingress", dir: parsed.dir, place, ...(listenFds === undefined ? {} : { listenFds }) };
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
  const Run = Gateway.extend({ ...Ingress.shape, ...ISOLATION_FLAGS }).extend({
    control: z.url({ protocol: /^https?$/, message: "--control must be an http(s) URL" }),
    token: z.string().optional(),
    name: NodeName.default(hostname().toLowerCase().split(".")[0] ?? "node"),
    region: RegionName.default(RegionName.parse("local")),
    "failure-domain": z.string().min(1).max(63).optional(),
    runtime: z.enum(["docker", "process", "auto"]).default("auto"),
    transport: z.enum(["auto", "http"]).default("auto"),
    "gateway-url": z.url({ protocol: /^https?$/ }).optional(),
    reach: z.enum(["direct", "relay", "cloudflared"]).default("direct"),
    "cloudflared-token-file": z.string().min(1).optional(),
    "public-address": z
      .array(z.union([z.ipv4(), z.ipv6()], { message: "must be an IPv4 or IPv6 address" }))
      .max(8)
      .optional(),
    "tls-cert": z.string().min(1).optional(),
    "tls-key": z.string().min(1).optional(),
    "acme-email": z.email({ message: "must be an email address" }).optional(),
    "capacity-cpu-milli": capacityOf(availableParallelism() * 1_000),
    // The host, its Engine and we ourselves live on the rest.
    "capacity-memory-bytes": capacityOf(Math.floor(totalmem() * 0.85)),
    "capacity-disk-bytes": capacityOf(freeDiskBytes()),
    "capacity-pids": capacityOf(32_768),
    "release-keys": z.string().optional(),
    "host-ports": z.string().transform(readHostPorts).optional(),
    label: z.array(z.string().regex(/^[^=]{1,63}=.{0,63}$/, { message: "--label must be K=V" })).default([]),
  });
  const run = parse(Run, values);
  const host = run["gateway-host"];
  const ingress = ingressOf(run);
  // Nobody dials a port of a node that is reached through others; what its operator names, an ingress of the region can hand on.
  const offered = run["host-ports"] ?? (run.reach === "direct" ? DEFAULT_HOST_PORTS : []);
  const ownPorts = [run["gateway-port"], ...(ingress === null ? [] : [ingress.tlsPort, ingress.plainPort])];
  return {
    dir,
    control: run.control,
    token: run.token ?? environment.BERTH_JOIN_TOKEN ?? null,
    name: run.name,
    region: run.region,
    failureDomain: run["failure-domain"] ?? run.name,
    runtime: run.runtime,
    transport: run.transport,
    gatewayHost: host,
    gatewayPort: run["gateway-port"],
    ...reached(run),
    ...isolationOf(run),
    ingress,
    acmeEmail: run["acme-email"] ?? null,
    capacity: NodeCapacity.parse({
      cpuMilli: run["capacity-cpu-milli"],
      memoryBytes: run["capacity-memory-bytes"],
      diskBytes: run["capacity-disk-bytes"],
      pids: run["capacity-pids"],
    }),
    hostPorts: ownPorts.reduce(withoutPort, offered),
    labels: Object.fromEntries(run.label.map((label) => label.split(/=(.*)/s).slice(0, 2) as [string, string])),
    releaseKeys: [...PINNED_RELEASE_KEYS, ...readReleaseKeys(run["release-keys"])],
    limits: agentLimitsFrom({ ...(JSON.parse(environment.BERTH_TUNING ?? "{}") as object), ...ratesOf(run) }),
  };
}

function readReleaseKeys(path: string | undefined): ReleaseKey[] {
  if (path === undefined) return [];
  try {
    const json: unknown = JSON.parse(readFileSync(path, "utf8"));
    return z.array(ReleaseKey).parse(Array.isArray(json) ? json : [json]);
  } catch (error) {
    throw new Error(`--release-keys: ${path} is no list of public release keys: ${String(error)}`, { cause: error });
  }
}

/** `22,8000-8999`, or `none`. */
function readHostPorts(list: string, context: z.RefinementCtx): HostPorts {
  const ranges = list === "none" ? [] : list.split(",").map((part) => part.trim().split("-").map(Number));
  const whole = ranges.map(([from = NaN, to = from, ...rest]) => (rest.length > 0 ? [] : [from, to]));
  const parsed = HostPorts.max(32).safeParse(whole);
  if (parsed.success && parsed.data.every(([from, to]) => from <= to)) return offeredByAny(parsed.data, []);
  context.addIssue({
    code: "custom",
    message: "must be ports and ranges such as 80,443,8000-8999, at most 32, or none",
  });
  return z.NEVER;
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
