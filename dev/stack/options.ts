// What a stack can be asked for, and what follows from it for ports, the database and the Workers' variables.
import { join } from "node:path";
import type { BundleFacts } from "../../node-agent/build/bundle-agent.ts";
import type { Runtime } from "./agents.ts";
import { databaseUrl, type DatabasePlan } from "./database.ts";
import { GATEWAY_PORT_PREFIX, postgresHome, type StackState } from "./state.ts";

/** All of a local stack is on this machine's loopback, a registry that somebody tries it with too. */
export const LOCAL_OUTBOUND = "127.0.0.0/8,::1,localhost";

export interface StackOptions {
  /** Where everything of this stack is kept; one stack per folder. */
  readonly stateDir: string;
  /** Forget what an earlier run left there. */
  readonly fresh?: boolean;
  readonly agents?: number;
  readonly runtime?: "auto" | Runtime;
  /** What the Workers run on; absent: what BERTH_PROFILE says, else Miniflare. */
  readonly profile?: Profile;
  /** true: each node in a network namespace of its own, so that its packets can be dropped. As root, with the process runtime. */
  readonly ownNetworks?: boolean;
  /** By node name: its failure domain, where it is not a rack of its own, and its labels. */
  readonly places?: Readonly<Record<string, NodePlace>>;
  /** Wanted ports; another free one is taken where they are busy. Without: any. */
  readonly ports?: { readonly control?: number; readonly edge?: number };
  readonly log?: (line: string) => void;
  /** Replace variables of the Workers, such as {TUNING: '{"drainMs": 2000}'}, and add to the agents' environment (BERTH_TUNING). */
  readonly vars?: {
    readonly control?: Record<string, string>;
    readonly edge?: Record<string, string>;
    readonly agent?: Record<string, string>;
  };
  /** The agents are this release and run under the launcher, so that they can be upgraded. Without: by themselves, as the source is. */
  readonly agentRelease?: BundleFacts;
  /** Bundles are kept in this folder, and taken from it where an earlier stack of the same source left them. */
  readonly keptBundlesDir?: string | undefined;
  /** false: a power cut may lose committed rows. For tests. */
  readonly fsync?: boolean;
  /** Gives up a start that is under way, and ends what it began. A stack that is up is ended with `stop`. */
  readonly signal?: AbortSignal;
}

/** cloudflare: as there, by Miniflare. self-hosted: on plain workerd with an S3 store, as without Cloudflare. */
export type Profile = "cloudflare" | "self-hosted";

export function profileOf({ profile }: Pick<StackOptions, "profile">): Profile {
  const named = profile ?? process.env.BERTH_PROFILE ?? "cloudflare";
  if (named === "cloudflare" || named === "self-hosted") return named;
  throw new Error(`BERTH_PROFILE is ${named}: it must be cloudflare or self-hosted`);
}

export interface NodePlace {
  readonly failureDomain?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export const BASE_DOMAIN = "localhost";
export const REGION = "local";

/** Port names with the ports they would like. */
export function wantedPorts(options: StackOptions, names: readonly string[]): Record<string, readonly number[]> {
  const { ports = {} } = options;
  const one = (value: number | undefined) => (value === undefined ? [] : [value]);
  const gateways = names.map((name) => [`${GATEWAY_PORT_PREFIX}${name}`, []] as const);
  return {
    control: one(ports.control),
    edge: one(ports.edge),
    postgres: [],
    adapter: [],
    ...(profileOf(options) === "self-hosted" ? { clock: [], s3: [] } : {}),
    ...Object.fromEntries(gateways),
  };
}

export function chosenPort(ports: Readonly<Record<string, number>>, name: string): number {
  const found = ports[name];
  if (found === undefined) throw new Error(`no port was chosen for ${name}`);
  return found;
}

export function databasePlan(
  stateDir: string,
  { stackId, ports, passwords, secrets }: StackState,
  options: Omit<StackOptions, "stateDir">,
): DatabasePlan {
  const profile = profileOf(options);
  return {
    home: postgresHome(stateDir, stackId),
    logsDir: join(stateDir, "logs"),
    postgresPort: chosenPort(ports, "postgres"),
    adapterPort: chosenPort(ports, "adapter"),
    clockPort: profile === "self-hosted" ? chosenPort(ports, "clock") : null,
    fsync: options.fsync ?? true,
    mailDir: join(stateDir, "mail"),
    mailToken: secrets.MAIL_TOKEN,
    passwords,
  };
}

/** Variables and secrets of both Workers; `vars` of the options wins. */
export function workerBindings({ vars = {} }: StackOptions, { secrets, ports }: StackState, plan: DatabasePlan) {
  const { passwords, postgresPort, adapterPort } = plan;
  return {
    control: {
      BASE_DOMAIN,
      ...secrets,
      EDGE_ORIGIN: `http://${BASE_DOMAIN}:${chosenPort(ports, "edge")}`,
      DEFAULT_REGION: REGION,
      DATABASE_URL_APP: databaseUrl("berth_app", passwords.app, postgresPort),
      DATABASE_URL_AUTH: databaseUrl("berth_auth", passwords.auth, postgresPort),
      NEON_ADAPTER: `127.0.0.1:${adapterPort}`,
      CONTROL_ORIGIN: `http://127.0.0.1:${chosenPort(ports, "control")}`,
      MAIL_URL: `http://127.0.0.1:${adapterPort}/mail`,
      SIGN_UP: "open",
      OUTBOUND_ALLOW: LOCAL_OUTBOUND,
      ...vars.control,
    },
    edge: { BASE_DOMAIN, TICKET_SIGNING_KEY: secrets.TICKET_SIGNING_KEY, ...vars.edge },
  };
}
