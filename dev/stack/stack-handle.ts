// A running stack as its users hold it: where things answer, which processes there are, and how to kill and stop them.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GATEWAY_PID_FILE } from "../../node-agent/endpoint-file.ts";
import { ProcessId } from "../../node-agent/agent/state/process-id.ts";
import { adminUrl } from "../postgres.ts";
import type { Networks, NodeNetwork } from "../network/namespaces.ts";
import { NodeSwitch } from "../network/node-switch.ts";
import { end } from "../process/end.ts";
import { identify } from "../process/identity.ts";
import { agentDir, agentRole, type AgentPlan, type Runtime } from "./agents.ts";
import type { SupervisedChild } from "./child.ts";
import { databaseUrl, type DatabasePlan } from "./database.ts";
import { freezeKv } from "./frozen-kv.ts";
import type { StackState } from "./state.ts";
import { stopAll } from "./stop.ts";

export interface StackAgent {
  readonly name: string;
  readonly role: string;
  readonly dir: string;
  readonly failureDomain: string;
  readonly gatewayPort: number;
  /** Where it has a network of its own. */
  readonly network: NodeNetwork | null;
  readonly pid: number | null;
}

export interface Stack {
  readonly stateDir: string;
  readonly controlUrl: string;
  readonly edgeUrl: string;
  readonly controlPort: number;
  readonly edgePort: number;
  /** An app's hostname is `<app>.<baseDomain>`: dial 127.0.0.1 with it as Host header. */
  readonly baseDomain: string;
  readonly runtime: Runtime;
  readonly operator: {
    readonly email: string;
    readonly password: string;
    readonly token: string;
    readonly team: string | null;
  };
  readonly postgres: {
    readonly port: number;
    readonly adminUrl: string;
    readonly appUrl: string;
    readonly authUrl: string;
    readonly ownerUrl: string;
  };
  readonly adapter: { readonly port: number };
  /** Where the minute clock calls, in the self-hosted profile. */
  readonly clockUrl: string | null;
  readonly agents: readonly StackAgent[];
  /** How long the steps of the start took, in milliseconds. */
  readonly timings: Readonly<Record<string, number>>;
  /** Pids by role: postgres, adapter, control, control.workerd, edge, edge.workerd, agent:<node>, gateway:<node>. */
  processes(): Record<string, number>;
  /** Resident bytes by role. */
  memory(): Record<string, number>;
  /** Signals a process by its role, SIGKILL if not said otherwise. It is started again, unless `hold`: then `start` does that. */
  kill(role: string, signal?: NodeJS.Signals, options?: { readonly hold?: boolean }): Promise<void>;
  /** SIGSTOP and SIGCONT: a process that hangs, rather than one that is gone. */
  pause(role: string, signal: "SIGSTOP" | "SIGCONT"): void;
  start(role: string): Promise<void>;
  /** The wires and the power of a node that has a network of its own (`ownNetworks`). */
  nodeSwitch(name: string): NodeSwitch;
  restart(role: string): Promise<void>;
  /** Starts the edge anew, with a KV that never again hears of anything that is written: staler than Cloudflare's ever is. */
  freezeKv(): Promise<void>;
  /** Resolves when a supervised child answers again. */
  untilReady(role: string): Promise<void>;
  /** Ends everything of the stack, gateways and apps included. What is stored stays. */
  stop(): Promise<void>;
}

export interface StackParts {
  readonly stateDir: string;
  readonly state: StackState;
  readonly operator: Stack["operator"];
  readonly plan: DatabasePlan;
  readonly runtime: Runtime;
  readonly agentPlans: readonly AgentPlan[];
  readonly children: readonly SupervisedChild[];
  readonly workerdPids: Readonly<Record<string, number | null>>;
  readonly timings: Record<string, number>;
  readonly baseDomain: string;
  readonly releaseLock: () => void;
  readonly networks: Networks | null;
}

export function describeStack(parts: StackParts): Stack {
  const { state, plan, children, baseDomain } = parts;
  const { control = 0, edge = 0 } = state.ports;
  const childOf = (role: string): SupervisedChild => {
    const named = (name: string) => children.find((candidate) => candidate.role === name);
    // Self-hosted, one process is both Workers.
    const child = named(role) ?? (role === "edge" ? named("control") : undefined);
    if (child === undefined)
      throw new Error(`no such process: ${role} (there are ${children.map((each) => each.role).join(", ")})`);
    return child;
  };
  return {
    stateDir: parts.stateDir,
    controlUrl: `http://127.0.0.1:${control}`,
    edgeUrl: `http://127.0.0.1:${edge}`,
    controlPort: control,
    edgePort: edge,
    baseDomain,
    runtime: parts.runtime,
    operator: parts.operator,
    postgres: {
      port: plan.postgresPort,
      adminUrl: adminUrl({ port: plan.postgresPort, password: plan.passwords.admin }, "berth"),
      appUrl: databaseUrl("berth_app", plan.passwords.app, plan.postgresPort),
      authUrl: databaseUrl("berth_auth", plan.passwords.auth, plan.postgresPort),
      ownerUrl: databaseUrl("berth_owner", plan.passwords.owner, plan.postgresPort),
    },
    adapter: { port: plan.adapterPort },
    clockUrl: plan.clockPort === null ? null : `http://127.0.0.1:${plan.clockPort}`,
    get agents() {
      return parts.agentPlans.map((agent) => describeAgent(agent, childOf(agentRole(agent.name)).pid));
    },
    timings: parts.timings,
    processes: () => processesOf(parts),
    memory: () => memoryOf(processesOf(parts)),
    async kill(role, signal = "SIGKILL", { hold = false } = {}) {
      if (!role.includes(".workerd") && !role.startsWith("gateway:")) return childOf(role).kill(signal, { hold });
      // Not ours to start again: Miniflare does that for workerd, the agent for its gateway.
      const identity = identify(processesOf(parts)[role] ?? 0);
      if (identity !== null) await end(identity, { politely: signal });
    },
    pause: (role, signal) => childOf(role).pause(signal),
    start: (role) => childOf(role).start(),
    nodeSwitch: (name) => switchOf(parts, name, childOf(agentRole(name))),
    restart: (role) => childOf(role).restart(),
    async freezeKv() {
      const edge = childOf("edge");
      await edge.kill("SIGTERM", { hold: true });
      freezeKv(parts.stateDir);
      await edge.start();
    },
    untilReady: (role) => childOf(role).untilReady(),
    stop: () => stopAll({ ...parts, stackId: state.stackId }).finally(parts.releaseLock),
  };
}

function switchOf({ agentPlans, state }: StackParts, name: string, agent: SupervisedChild): NodeSwitch {
  const plan = agentPlans.find((candidate) => candidate.name === name);
  if (!plan?.network) throw new Error(`${name} has no network of its own`);
  return new NodeSwitch({
    network: plan.network,
    ports: { control: state.ports.control ?? 0, gateway: plan.gatewayPort },
    killAgent: () => agent.kill("SIGKILL", { hold: true }),
    startAgent: () => agent.start(),
  });
}

function describeAgent(agent: AgentPlan, pid: number | null): StackAgent {
  const { name, failureDomain, gatewayPort, network } = agent;
  return { name, role: agentRole(name), dir: agentDir(agent), failureDomain, gatewayPort, network, pid };
}

function processesOf({ children, workerdPids, agentPlans }: StackParts): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { role, pid } of children) {
    if (pid === null) continue;
    found[role] = pid;
  }
  for (const [role, pid] of Object.entries(workerdPids)) {
    // Self-hosted, the edge's is the control Worker's.
    const host = children.some((child) => child.role === role) ? role : "control";
    if (pid !== null && found[host] !== undefined) found[`${role}.workerd`] = pid;
  }
  for (const agent of agentPlans) {
    const pid = gatewayPid(agentDir(agent));
    if (pid !== null) found[`gateway:${agent.name}`] = pid;
  }
  return found;
}

function gatewayPid(dir: string): number | null {
  const path = join(dir, GATEWAY_PID_FILE);
  if (!existsSync(path)) return null;
  const owner = ProcessId.safeParse(JSON.parse(readFileSync(path, "utf8")));
  return owner.success && identify(owner.data.pid) !== null ? owner.data.pid : null;
}

function memoryOf(processes: Readonly<Record<string, number>>): Record<string, number> {
  const memory: Record<string, number> = {};
  for (const [role, pid] of Object.entries(processes)) {
    try {
      memory[role] = Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) * 1024;
    } catch {
      // It ended in between.
    }
  }
  return memory;
}
