// The whole of Berth on one machine, from one function: `npm start`, the end-to-end tests and the benchmarks all use it.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Ledger } from "./process/ledger.ts";
import { agentDir, agentSpec, chooseRuntime, purgeAgent, type AgentPlan, type Runtime } from "./stack/agents.ts";
import { bundleAgent, bundleControlAndEdge } from "./stack/bundles.ts";
import { SupervisedChild } from "./stack/child.ts";
import { adapterSpec, databaseUrl, postgresSpec, prepareDatabase, type DatabasePlan } from "./stack/database.ts";
import { takeLock } from "./stack/lock.ts";
import { makeJoinToken, signInOperator, untilNodesReady } from "./stack/operator.ts";
import { endAllMarked, endOrphans } from "./stack/orphans.ts";
import { describeStack, type Stack } from "./stack/stack-handle.ts";
import { choosePorts, loadState, makeFolders, postgresHome, saveState, type StackState } from "./stack/state.ts";

export { StackRunning } from "./stack/lock.ts";
export type { Stack } from "./stack/stack-handle.ts";

export interface StackOptions {
  /** Where everything of this stack is kept; one stack per folder. */
  readonly stateDir: string;
  /** Forget what an earlier run left there. */
  readonly fresh?: boolean;
  readonly agents?: number;
  readonly runtime?: "auto" | Runtime;
  /** Wanted ports; another free one is taken where they are busy. Without: any. */
  readonly ports?: { readonly control?: number; readonly edge?: number };
  readonly log?: (line: string) => void;
  /** Replace variables of the Workers, such as {TUNING: '{"drainMs": 2000}'}. */
  readonly vars?: { readonly control?: Record<string, string>; readonly edge?: Record<string, string> };
  /** false: a power cut may lose committed rows. For tests. */
  readonly fsync?: boolean;
}

const BASE_DOMAIN = "localhost";
const REGION = "local";
const NODES_READY_WITHIN_MS = 30_000;

export async function startStack(options: StackOptions): Promise<Stack> {
  const stateDir = resolve(options.stateDir);
  mkdirSync(stateDir, { recursive: true, mode: 0o755 });
  const releaseLock = takeLock(stateDir);
  const children: SupervisedChild[] = [];
  try {
    return await bringUp({ ...options, stateDir }, children, releaseLock);
  } catch (error) {
    await Promise.allSettled(children.map((child) => child.stop()));
    releaseLock();
    throw error;
  }
}

type Resolved = StackOptions & { readonly stateDir: string };

async function bringUp(options: Resolved, children: SupervisedChild[], releaseLock: () => void): Promise<Stack> {
  const { stateDir, log = () => {}, agents: agentCount = 3 } = options;
  const timings: Record<string, number> = {};
  const timed = async <Value>(name: string, work: Promise<Value>): Promise<Value> => {
    const startedMs = performance.now();
    const value = await work;
    timings[name] = Math.round(performance.now() - startedMs);
    return value;
  };

  const before = await loadState(stateDir);
  const ended = await endOrphans(before.stackId, new Ledger(stateDir));
  if (ended > 0) log(`ended ${ended} processes that an earlier run left behind`);
  const state = options.fresh ? await forget(stateDir, before) : before;
  makeFolders(stateDir);

  const names = Array.from({ length: agentCount }, (_, index) => `node-${index + 1}`);
  const ports = await choosePorts(state.ports, wantedPorts(options, names));
  state.ports = { ...state.ports, ...ports };
  saveState(stateDir, state);
  const plan = databasePlan(stateDir, state, options.fsync ?? true);

  const supervise = (spec: ConstructorParameters<typeof SupervisedChild>[0]) => {
    const child = new SupervisedChild(spec, { ledger, stackId: state.stackId, log });
    children.push(child);
    return child;
  };
  const ledger = new Ledger(stateDir);
  const workerdPids: Record<string, number | null> = {};
  const bundling = bundleControlAndEdge({
    stateDir,
    ports: { control: port(ports, "control"), edge: port(ports, "edge") },
    bindings: bindingsOf(options, state, plan),
    onWorkerd: (role, pid) => (workerdPids[role] = pid),
  });
  const agentBundle = timed("agent bundle", bundleAgent(stateDir));
  agentBundle.catch(() => {});
  const [runtime] = await Promise.all([
    chooseRuntime(options.runtime ?? "auto"),
    timed("postgres", startDatabase(plan, supervise)),
    timed("workers", startWorkers(bundling, supervise)),
  ]);

  const controlUrl = `http://127.0.0.1:${port(ports, "control")}`;
  const operator = await timed("operator", signInOperator(controlUrl, state.secrets.SETUP_TOKEN, state.operator));
  state.operator = operator;
  saveState(stateDir, state);

  const bundlePath = await agentBundle;
  const agentPlans: AgentPlan[] = names.map((name, index) => ({
    name,
    failureDomain: `rack-${String.fromCharCode(97 + (index % 26))}`,
    region: REGION,
    runtime,
    gatewayPort: port(ports, `gateway-${name}`),
    controlUrl,
    bundlePath,
    stateDir,
  }));
  const join = () => makeJoinToken(controlUrl, operator.token, REGION);
  await Promise.all(agentPlans.map((agent) => supervise(agentSpec(agent, join)).start()));
  await timed("nodes", untilNodesReady(controlUrl, operator.token, agentCount, NODES_READY_WITHIN_MS));

  return describeStack({
    stateDir,
    state,
    operator,
    plan,
    runtime,
    agentPlans,
    children,
    workerdPids,
    timings,
    baseDomain: BASE_DOMAIN,
    releaseLock,
  });
}

function wantedPorts({ ports = {} }: StackOptions, names: readonly string[]): Record<string, readonly number[]> {
  const one = (value: number | undefined) => (value === undefined ? [] : [value]);
  const gateways = names.map((name) => [`gateway-${name}`, []] as const);
  return {
    control: one(ports.control),
    edge: one(ports.edge),
    postgres: [],
    adapter: [],
    ...Object.fromEntries(gateways),
  };
}

function port(ports: Readonly<Record<string, number>>, name: string): number {
  const found = ports[name];
  if (found === undefined) throw new Error(`no port was chosen for ${name}`);
  return found;
}

function databasePlan(stateDir: string, { stackId, ports, passwords }: StackState, fsync: boolean): DatabasePlan {
  return {
    home: postgresHome(stateDir, stackId),
    logsDir: join(stateDir, "logs"),
    postgresPort: port(ports, "postgres"),
    adapterPort: port(ports, "adapter"),
    fsync,
    passwords,
  };
}

function bindingsOf(
  { vars = {} }: StackOptions,
  { secrets, ports }: StackState,
  { passwords, postgresPort, adapterPort }: DatabasePlan,
) {
  const shared = { BASE_DOMAIN };
  return {
    control: {
      ...shared,
      ...secrets,
      EDGE_ORIGIN: `http://${BASE_DOMAIN}:${port(ports, "edge")}`,
      DEFAULT_REGION: REGION,
      DATABASE_URL_APP: databaseUrl("berth_app", passwords.app, postgresPort),
      DATABASE_URL_AUTH: databaseUrl("berth_auth", passwords.auth, postgresPort),
      NEON_ADAPTER: `127.0.0.1:${adapterPort}`,
      ...vars.control,
    },
    edge: { ...shared, TICKET_SIGNING_KEY: secrets.TICKET_SIGNING_KEY, ...vars.edge },
  };
}

type Supervise = (spec: ConstructorParameters<typeof SupervisedChild>[0]) => SupervisedChild;

async function startDatabase(plan: DatabasePlan, supervise: Supervise): Promise<void> {
  const adapter = supervise(adapterSpec(plan)).start();
  await supervise(postgresSpec(plan)).start();
  await prepareDatabase(plan);
  await adapter;
}

async function startWorkers(bundling: ReturnType<typeof bundleControlAndEdge>, supervise: Supervise): Promise<void> {
  const specs = await bundling;
  await Promise.all(specs.map((spec) => supervise(spec).start()));
}

/** Ends everything of the earlier stack, apps included, and removes its files. The lock in the folder is ours and stays. */
async function forget(stateDir: string, before: StackState): Promise<StackState> {
  const agentBundle = join(stateDir, "bundles", "agent.mjs");
  for (const name of listFolder(join(stateDir, "agents"))) {
    await purgeAgent(agentBundle, agentDir({ stateDir, name })).catch(() => {});
  }
  await endAllMarked(before.stackId);
  rmSync(
    dirname(postgresHome(stateDir, before.stackId)) === stateDir
      ? join(stateDir, "postgres")
      : dirname(postgresHome(stateDir, before.stackId)),
    { recursive: true, force: true },
  );
  for (const name of listFolder(stateDir)) {
    if (name !== "supervisor.json") rmSync(join(stateDir, name), { recursive: true, force: true });
  }
  return loadState(stateDir);
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
