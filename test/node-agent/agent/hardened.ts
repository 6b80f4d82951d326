// Every container that an agent starts is looked at as its Engine has it, and held against the CIS Docker benchmark's section 5.
import type Docker from "dockerode";
import type { ContainerInspectInfo } from "dockerode";

/** What is missing from its confinement, with the benchmark's number where it has one; nothing, if all is well. */
export function unconfined(info: ContainerInspectInfo): string[] {
  const host = info.HostConfig as ContainerInspectInfo["HostConfig"] & {
    readonly CgroupnsMode?: string;
    readonly MaskedPaths?: string[];
    readonly ReadonlyPaths?: string[];
    readonly UTSMode?: string;
  };
  const ulimits = new Map(
    ((host.Ulimits ?? []) as { Name: string; Hard: number }[]).map((one) => [one.Name, one.Hard]),
  );
  const ports = Object.values((host.PortBindings ?? {}) as Record<string, { HostPort: string }[]>).flat();
  const rules: Record<string, boolean> = {
    "5.3 capabilities": JSON.stringify(host.CapDrop) === '["ALL"]' && (host.CapAdd ?? []).length === 0,
    "5.4 privileged": host.Privileged === false,
    "5.5, 5.31 host's folders and the Engine's socket":
      (host.Binds ?? []).length === 0 &&
      info.Mounts.every(
        ({ Type, RW, Destination }) => Type === "tmpfs" || (Type === "volume" && !RW && Destination === "/app"),
      ),
    "5.7 ports below 1024": ports.every(({ HostPort }) => Number(HostPort) >= 1024),
    "5.9 host's network":
      !["host", "default", "bridge", "none"].includes(host.NetworkMode ?? "") &&
      !host.NetworkMode?.startsWith("container:"),
    "5.10 memory": (host.Memory ?? 0) > 0 && host.MemorySwap === host.Memory && host.OomKillDisable !== true,
    "5.11 cpu": (host.CpuQuota ?? 0) >= 1_000 && (host.CpuPeriod ?? 0) >= 20_000 && (host.CpuShares ?? 0) > 0,
    "5.14 restarts": host.RestartPolicy?.Name === "no",
    "5.15 host's processes": host.PidMode === "",
    "5.16 host's IPC": host.IpcMode === "private",
    "5.17 devices": (host.Devices ?? []).length === 0,
    "5.18 ulimits": ulimits.get("nofile") === 16_384 && ulimits.get("core") === 0 && (ulimits.get("fsize") ?? 0) > 0,
    "5.20 host's UTS namespace": (host.UTSMode ?? "") === "",
    "5.21 seccomp, 5.25 no-new-privileges": JSON.stringify(host.SecurityOpt) === '["no-new-privileges"]',
    "5.24 cgroup": (host.CgroupParent ?? "") === "" && host.CgroupnsMode === "private",
    "5.28 pids": (host.PidsLimit ?? 0) > 0,
    "5.29 the default bridge": Object.keys(info.NetworkSettings.Networks).every((name) => name.startsWith("berth-")),
    "5.30 user namespace": (host.UsernsMode ?? "") === "",
    "masked paths of /proc": (host.MaskedPaths ?? []).includes("/proc/kcore"),
    "read-only paths of /proc": (host.ReadonlyPaths ?? []).includes("/proc/sys"),
    "shared memory": (host.ShmSize ?? 0) > 0 && (host.ShmSize ?? 0) <= 64 * 1024 * 1024,
    "tenants go first when memory runs out": host.OomScoreAdj === 500,
    "rates of its disk": ((host.BlkioDeviceWriteBps as unknown[] | null) ?? []).length === 1,
    "size of its log": host.LogConfig?.Config["max-size"] === "4m",
    labels: ["node", "instance", "generation", "app", "team", "release"].every(
      (name) => `berth.${name}` in info.Config.Labels,
    ),
  };
  return Object.entries(rules).flatMap(([rule, holds]) => (holds ? [] : [`${info.Name} is not confined: ${rule}`]));
}

export interface Starts {
  /** How many were looked at. */
  seen(): number;
  end(): Promise<void>;
}

/** From now on, each as it starts: its faults are the peer's. Of an Engine that is away nothing is seen. */
export async function watchStarts(
  engine: Docker,
  { node, faults }: { readonly node: string; readonly faults: string[] },
): Promise<Starts> {
  const of = { type: ["container" as "network"], event: ["start"], label: [`berth.node=${node}`] };
  const stream = await engine.getEvents({ filters: of }).then(
    (events) => events as unknown as NodeJS.ReadableStream & { destroy(): void },
    () => null,
  );
  const looks: Promise<void>[] = [];
  let seen = 0;
  const look = async (id: string) => {
    // One that is gone already cannot be looked at.
    const info = await engine
      .getContainer(id)
      .inspect()
      .catch(() => null);
    if (info === null) return;
    seen += 1;
    faults.push(...unconfined(info));
  };
  stream?.on("error", () => undefined);
  stream?.on("data", (chunk: Buffer) => {
    for (const line of chunk.toString().split("\n").filter(Boolean)) {
      const { Actor } = JSON.parse(line) as { Actor: { ID: string; Attributes: { name: string } } };
      // What a test made by itself under the node's label is not the agent's.
      if (Actor.Attributes.name.startsWith("berth-")) looks.push(look(Actor.ID));
    }
  });
  return {
    seen: () => seen,
    async end() {
      stream?.destroy();
      await Promise.all(looks);
    },
  };
}
