// The Engine's view of a container, as a unit of this node.
import type { ContainerInspectInfo, ContainerStats } from "dockerode";
import type { Exit, Unit, Usage } from "../runtime.ts";
import { LABEL, readLabels } from "./labels.ts";

/** Null for a container that is not this node's, or whose labels are not ours to understand. */
export function unitOf(node: string, info: ContainerInspectInfo): Unit | null {
  const labels = info.Config.Labels ?? {};
  const labelled = labels[LABEL.node] === node ? readLabels(labels) : null;
  if (labelled === null) return null;
  const { State } = info;
  return {
    ...labelled,
    id: info.Id,
    // Its team's network is the only one it is in.
    host: Object.values(info.NetworkSettings.Networks)[0]?.IPAddress ?? "",
    life: `${info.Id}@${State.StartedAt}`,
    startedAtMs: Date.parse(State.StartedAt),
    pid: State.Running && State.Pid > 0 ? State.Pid : null,
    exit: State.Running || State.Restarting ? null : exitOf(State),
  };
}

/** The address that the agent gave it: it is held for as long as the container exists. */
export function assignedAddress(info: ContainerInspectInfo): { network: string; address: string } | null {
  const [name, attached] = Object.entries(info.NetworkSettings.Networks)[0] ?? [];
  const address = (attached as { IPAMConfig?: { IPv4Address?: string } | null } | undefined)?.IPAMConfig?.IPv4Address;
  if (name === undefined || attached === undefined || !address) return null;
  // Before its first start the network's id stands in the place of its name.
  return { network: attached.NetworkID || name, address };
}

/** Shells and the Engine report death by signal as 128 + its number. */
const SIGNALS: Readonly<Record<number, string>> = { 134: "SIGABRT", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM" };

function exitOf({ ExitCode, OOMKilled, FinishedAt }: ContainerInspectInfo["State"]): Exit {
  const endedAtMs = Math.max(0, Date.parse(FinishedAt));
  return { exitCode: ExitCode, signal: SIGNALS[ExitCode] ?? null, outOfMemory: OOMKilled, endedAtMs };
}

/** Page cache that the kernel gives back under pressure is not counted as used. */
export function usageOf(stats: ContainerStats): Usage {
  const { usage = 0, stats: detail } = stats.memory_stats as {
    usage?: number;
    stats?: { total_inactive_file?: number; inactive_file?: number };
  };
  const cache = detail?.total_inactive_file ?? detail?.inactive_file ?? 0;
  return { cpuMs: stats.cpu_stats.cpu_usage.total_usage / 1e6, memoryBytes: Math.max(0, usage - cache) };
}
