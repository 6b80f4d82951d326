// The whole of Berth on one machine, from one function: `npm start`, the end-to-end tests and the benchmarks all use it.
import { chmodSync, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { Networks } from "./network/namespaces.ts";
import { Ledger } from "./process/ledger.ts";
import { agentSpec, chooseRuntime, type AgentPlan, type Runtime } from "./stack/agents.ts";
import { bundleAgent, bundleControlAndEdge, type WorkersPlan } from "./stack/bundles.ts";
import { SupervisedChild, type ChildSpec } from "./stack/child.ts";
import { adapterSpec, postgresSpec, prepareDatabase, type DatabasePlan } from "./stack/database.ts";
import { takeLock } from "./stack/lock.ts";
import { makeJoinToken, signInOperator, untilNodesReady } from "./stack/operator.ts";
import {
  BASE_DOMAIN,
  chosenPort,
  databasePlan,
  REGION,
  wantedPorts,
  workerBindings,
  type StackOptions,
} from "./stack/options.ts";
import { recover } from "./stack/recover.ts";
import { selfHostedSpecs } from "./stack/self-hosted.ts";
import { describeStack, type Stack } from "./stack/stack-handle.ts";
import { choosePorts, GATEWAY_PORT_PREFIX, loadState, saveState, type StackState } from "./stack/state.ts";
import { stopAll } from "./stack/stop.ts";

export { StackRunning } from "./stack/lock.ts";
export type { StackOptions } from "./stack/options.ts";
export type { Stack } from "./stack/stack-handle.ts";

const NODES_READY_WITHIN_MS = 30_000;

/** Throws StackRunning where one runs from that folder already. What a failed start began is ended again. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const stateDir = resolve(options.stateDir);
  mkdirSync(stateDir, { recursive: true });
  // Postgres' user must be able to walk through it; what is private in it has a mode of its own.
  chmodSync(stateDir, 0o755);
  const releaseLock = takeLock(stateDir);
  const children: SupervisedChild[] = [];
  const owned: Owned = { children, releaseLock, networks: null };
  const failed = new AbortController();
  const ending = AbortSignal.any([failed.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  try {
    return await bringUp({ ...options, stateDir }, owned, ending);
  } catch (error) {
    failed.abort();
    const { stackId } = await loadState(stateDir);
    await stopAll({ stateDir, stackId, ...owned }).finally(releaseLock);
    throw error;
  }
}

/** What the steps of a start share. */
interface Start {
  readonly options: StackOptions;
  readonly state: StackState;
  readonly plan: DatabasePlan;
  readonly supervise: (spec: ChildSpec) => SupervisedChild;
  readonly workerdPids: Record<string, number | null>;
}

/** What a start that fails has to give back. */
interface Owned {
  readonly children: SupervisedChild[];
  readonly releaseLock: () => void;
  networks: Networks | null;
}

/** ending: aborts when the start failed or is given up. */
async function bringUp(options: StackOptions, owned: Owned, ending: AbortSignal): Promise<Stack> {
  const { children } = owned;
  const { stateDir, log = () => {}, agents: agentCount = 3 } = options;
  const timings: Record<string, number> = {};
  const timed = async <Value>(name: string, work: Promise<Value>): Promise<Value> => {
    const startedMs = performance.now();
    const value = await work;
    timings[name] = Math.round(performance.now() - startedMs);
    return value;
  };
  const state = await recover({ stateDir, fresh: options.fresh ?? false, log });
  const nodeNames = Array.from({ length: agentCount }, (_, index) => `node-${index + 1}`);
  state.ports = { ...state.ports, ...(await choosePorts(state.ports, wantedPorts(options, nodeNames))) };
  saveState(stateDir, state);

  const ledger = new Ledger(stateDir);
  const supervise = (spec: ChildSpec) => {
    // Steps run side by side: one that goes on after another failed must not start what nobody would stop.
    ending.throwIfAborted();
    const child = new SupervisedChild(spec, { ledger, stackId: state.stackId, log });
    children.push(child);
    return child;
  };
  const plan = databasePlan(stateDir, state, options);
  const start: Start = { options, state, plan, supervise, workerdPids: {} };
  const networks = options.ownNetworks ? await Networks.create(state.stackId, agentCount) : null;
  owned.networks = networks;
  const [runtime, bundles] = await Promise.all([
    chooseRuntime(options.runtime ?? "auto"),
    agentCount === 0
      ? null
      : timed("agent bundle", bundleAgent(stateDir, { ...options, release: options.agentRelease })),
    timed("postgres", startDatabase(start)),
    timed("workers", startWorkers(start)),
  ]);

  const controlPort = chosenPort(state.ports, "control");
  const controlUrl = `http://127.0.0.1:${controlPort}`;
  await networks?.forward(controlPort);
  const operator = await timed("operator", signInOperator(controlUrl, state.secrets.SETUP_TOKEN, state.operator));
  state.operator = operator;
  saveState(stateDir, state);

  const agentPlans = planAgents(start, { nodeNames, runtime, ...(bundles ?? NO_BUNDLES), controlPort, networks });
  const join = () => makeJoinToken(controlUrl, operator.token, REGION);
  await Promise.all(agentPlans.map((agent) => supervise(agentSpec(agent, join)).start()));
  await timed(
    "nodes",
    untilNodesReady({ controlUrl, token: operator.token, count: agentCount, withinMs: NODES_READY_WITHIN_MS, ending }),
  );
  return describeStack({
    ...start,
    stateDir,
    operator,
    runtime,
    agentPlans,
    children,
    timings,
    baseDomain: BASE_DOMAIN,
    releaseLock: owned.releaseLock,
    networks,
  });
}

async function startDatabase({ plan, supervise }: Start): Promise<void> {
  const adapter = supervise(adapterSpec(plan)).start();
  await Promise.all([adapter, supervise(postgresSpec(plan)).start()]);
  await prepareDatabase(plan);
}

/** Beside Postgres, not after it: they ask it for nothing before the first request. */
async function startWorkers({ options, state, plan, supervise, workerdPids }: Start): Promise<void> {
  const { ports } = state;
  const wanted: WorkersPlan = {
    stateDir: options.stateDir,
    ports: { control: chosenPort(ports, "control"), edge: chosenPort(ports, "edge") },
    bindings: workerBindings(options, state, plan),
    onWorkerd: (role, pid) => (workerdPids[role] = pid),
    keptBundlesDir: options.keptBundlesDir,
  };
  const specs =
    plan.clockPort === null
      ? await bundleControlAndEdge(wanted)
      : await selfHostedSpecs({ ...wanted, clockPort: plan.clockPort, s3Port: chosenPort(ports, "s3") });
  await Promise.all(specs.map((spec) => supervise(spec).start()));
}

const NO_BUNDLES = { bundlePath: "", launcherPath: null };

interface AgentsWanted {
  readonly nodeNames: readonly string[];
  readonly runtime: Runtime;
  readonly bundlePath: string;
  readonly launcherPath: string | null;
  readonly controlPort: number;
  readonly networks: Networks | null;
}

/** Each node in a rack of its own, where not asked for otherwise: rack-a, rack-b, … */
function planAgents({ options, state }: Start, wanted: AgentsWanted): AgentPlan[] {
  const { nodeNames, controlPort, networks, ...shared } = wanted;
  return nodeNames.map((name, index) => ({
    controlUrl: `http://${networks?.nodes[index]?.hostAddress ?? "127.0.0.1"}:${controlPort}`,
    network: networks?.nodes[index] ?? null,
    name,
    failureDomain: options.places?.[name]?.failureDomain ?? `rack-${String.fromCharCode(97 + (index % 26))}`,
    labels: options.places?.[name]?.labels ?? {},
    region: REGION,
    gatewayPort: chosenPort(state.ports, `${GATEWAY_PORT_PREFIX}${name}`),
    stateDir: options.stateDir,
    environment: options.vars?.agent ?? {},
    ...shared,
  }));
}
