// The Engine's view of a container, as a unit of this node.
import type Docker from "dockerode";
import type { ContainerInspectInfo, ContainerStats } from "dockerode";
import type { Exit, Unit, Usage } from "../runtime.ts";
import type { DesiredInstance } from "../../../../contracts/desired.ts";
import { pause } from "../../link/pause.ts";
import { statusOf } from "./failures.ts";
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

/** It runs, or it ran and was to run once. One that was only made is started. */
export function isTaken({ exit, startedAtMs }: Unit, { job }: DesiredInstance): boolean {
  return exit === null || (Boolean(job) && startedAtMs > 0);
}

/** The address that the agent gave it: it is held for as long as the container exists. */
export function assignedAddress(info: ContainerInspectInfo): { network: string; address: string } | null {
  const [name, attached] = Object.entries(info.NetworkSettings.Networks)[0] ?? [];
  const address = (attached as { IPAMConfig?: { IPv4Address?: string } | null } | undefined)?.IPAMConfig?.IPv4Address;
  if (name === undefined || attached === undefined || !address) return null;
  // Before its first start the network's id stands in the place of its name.
  return { network: attached.NetworkID || name, address };
}

const ASKS_MAX = 20;
const ASK_AGAIN_MS = 500;

/** Its variables, the image's own among them. Of one that is gone nothing is read either; null: the Engine stays away. */
export async function startedWith(docker: Docker, id: string): Promise<ReadonlyMap<string, string> | null> {
  for (let asks = 0; asks < ASKS_MAX; asks += 1) {
    try {
      // The Engine says null where there is none.
      const lines = (await docker.getContainer(id).inspect()).Config.Env as string[] | null;
      return new Map(lines?.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
    } catch (error) {
      if (statusOf(error) === 404) return new Map();
      await pause(ASK_AGAIN_MS);
    }
  }
  return null;
}

/** Shells and the Engine report death by signal as 128 + its number. */
const SIGNALS: Readonly<Record<number, string>> = {
  134: "SIGABRT",
  137: "SIGKILL",
  139: "SIGSEGV",
  143: "SIGTERM",
  153: "SIGXFSZ",
};

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
