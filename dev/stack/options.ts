// What a stack can be asked for, and what follows from it for ports, the database and the Workers' variables.
import { join } from "node:path";
import type { Runtime } from "./agents.ts";
import { databaseUrl, type DatabasePlan } from "./database.ts";
import { GATEWAY_PORT_PREFIX, postgresHome, type StackState } from "./state.ts";

export interface StackOptions {
  /** Where everything of this stack is kept; one stack per folder. */
  readonly stateDir: string;
  /** Forget what an earlier run left there. */
  readonly fresh?: boolean;
  readonly agents?: number;
  readonly runtime?: "auto" | Runtime;
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
  /** false: a power cut may lose committed rows. For tests. */
  readonly fsync?: boolean;
  /** Gives up a start that is under way, and ends what it began. A stack that is up is ended with `stop`. */
  readonly signal?: AbortSignal;
}

export interface NodePlace {
  readonly failureDomain?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export const BASE_DOMAIN = "localhost";
export const REGION = "local";

/** Port names with the ports they would like. */
export function wantedPorts({ ports = {} }: StackOptions, names: readonly string[]): Record<string, readonly number[]> {
  const one = (value: number | undefined) => (value === undefined ? [] : [value]);
  const gateways = names.map((name) => [`${GATEWAY_PORT_PREFIX}${name}`, []] as const);
  return {
    control: one(ports.control),
    edge: one(ports.edge),
    postgres: [],
    adapter: [],
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
  { stackId, ports, passwords }: StackState,
  fsync: boolean,
): DatabasePlan {
  return {
    home: postgresHome(stateDir, stackId),
    logsDir: join(stateDir, "logs"),
    postgresPort: chosenPort(ports, "postgres"),
    adapterPort: chosenPort(ports, "adapter"),
    fsync,
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
      ...vars.control,
    },
    edge: { BASE_DOMAIN, TICKET_SIGNING_KEY: secrets.TICKET_SIGNING_KEY, ...vars.edge },
  };
}
