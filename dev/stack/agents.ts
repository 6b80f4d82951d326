// The stack's node agents: one bundled file, one process per node, each in a failure domain of its own.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import Docker from "dockerode";
import type { NodeNetwork } from "../network/namespaces.ts";
import { spawnNode, type ChildSpec } from "./child.ts";
import { LOCAL_OUTBOUND } from "./options.ts";

const run = promisify(execFile);
const ENGINE_TIMEOUT_MS = 2_000;
const PURGE_TIMEOUT_MS = 60_000;

export type Runtime = "docker" | "process";

/** What an agent is told; its own folder holds what it learnt. */
export interface AgentPlan {
  readonly name: string;
  readonly failureDomain: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly region: string;
  readonly runtime: Runtime;
  readonly gatewayPort: number;
  readonly controlUrl: string;
  readonly bundlePath: string;
  /** What starts it, where it can be upgraded. */
  readonly launcherPath: string | null;
  readonly stateDir: string;
  /** Beside what the supervisor adds. */
  readonly environment: Readonly<Record<string, string>>;
  /** Its own network; null: this machine's. */
  readonly network: NodeNetwork | null;
}

export function agentDir({ stateDir, name }: Pick<AgentPlan, "stateDir" | "name">): string {
  return join(stateDir, "agents", name);
}

export function agentRole(name: string): string {
  return `agent:${name}`;
}

/** A Docker Engine where one answers, else detached processes (for trusted code only, as the agent says itself). */
export async function chooseRuntime(wanted: "auto" | Runtime): Promise<Runtime> {
  if (wanted !== "auto") return wanted;
  try {
    await Promise.race([
      new Docker({ timeout: ENGINE_TIMEOUT_MS }).ping(),
      new Promise((_, reject) => setTimeout(() => reject(new Error("no answer")), ENGINE_TIMEOUT_MS).unref()),
    ]);
    return "docker";
  } catch {
    return "process";
  }
}

/** makeJoinToken is asked at each start until the node has enrolled, because a token is good once and for 15 minutes. */
export function agentSpec(plan: AgentPlan, makeJoinToken: () => Promise<string>): ChildSpec {
  const dir = agentDir(plan);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  let token: string | null = null;
  const logFile = join(plan.stateDir, "logs", `${plan.name}.log`);
  return {
    role: agentRole(plan.name),
    logFile,
    prepare: async () => {
      token = isEnrolled(dir) ? null : await makeJoinToken();
    },
    start: (environment) =>
      spawnNode({
        script: plan.launcherPath ?? plan.bundlePath,
        args: [
          "run",
          ...["--dir", dir, "--control", plan.controlUrl, "--name", plan.name, "--region", plan.region],
          ...[
            "--failure-domain",
            plan.failureDomain,
            "--runtime",
            plan.runtime,
            "--gateway-port",
            String(plan.gatewayPort),
          ],
          ...["--outbound-allow", LOCAL_OUTBOUND],
          ...(plan.network === null ? [] : ["--gateway-host", plan.network.address]),
          ...Object.entries(plan.labels).flatMap(([name, value]) => ["--label", `${name}=${value}`]),
        ],
        logFile,
        // Not in the arguments, which every user of the machine can read.
        environment: { ...environment, ...plan.environment, ...(token === null ? {} : { BERTH_JOIN_TOKEN: token }) },
        channel: false,
        namespace: plan.network?.namespace ?? null,
      }),
    // Enrolment and the first heartbeat show in the node's phase, which the stack waits for.
    untilReady: async () => {},
    stopSignal: "SIGTERM",
    // Its gateway and apps outlive it by design.
    ownsGroup: false,
  };
}

/** The agent stores its keys first and what it got at enrolment second. */
function isEnrolled(dir: string): boolean {
  try {
    const stored = JSON.parse(readFileSync(join(dir, "identity.json"), "utf8")) as { enrolled?: unknown };
    return stored.enrolled != null;
  } catch {
    return false;
  }
}

/** Ends a node's gateway and apps and forgets the node: `berth-agent purge`. A folder without a node is left as it is. */
export async function purgeAgent(bundlePath: string, dir: string): Promise<void> {
  if (!existsSync(bundlePath) || !existsSync(dir)) return;
  await run(process.execPath, [bundlePath, "purge", "--dir", dir], { timeout: PURGE_TIMEOUT_MS });
}
