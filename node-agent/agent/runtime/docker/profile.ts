// How a container of a tenant is confined on a shared kernel: no rights of its host's, hard limits, and no way to the Engine.
import type { ContainerCreateOptions } from "dockerode";
import type { DesiredInstance } from "../../../../contracts/desired.ts";

/** Its types lack what came with API 1.41. */
type HostConfig = NonNullable<ContainerCreateOptions["HostConfig"]> & { CgroupnsMode?: "private" };

const MIB = 1024 * 1024;
/** Descriptors per process: enough for a busy server, and within the hard limit that any host gives its Engine. */
const NOFILE = 16_384;
/** The Engine's own copy of the output; ours is beside it (logs/). Two files of this size at most. */
const ENGINE_LOG = { Type: "json-file", Config: { "max-size": "4m", "max-file": "2" } };
/** Writable even where the root is not: programs expect a /tmp. Counts as the container's memory. */
const TMPFS = { "/tmp": "rw,nosuid,nodev,size=64m,mode=1777" };
const SHM_BYTES = 64 * MIB;
/** When the host itself runs out of memory, tenants go before the agent, its gateway and the Engine. */
const OOM_SCORE = 500;
/** Of 10 to 1000, where the Engine and the disk's scheduler know weights: what is not a tenant's has 500. */
const IO_WEIGHT = 250;
/** By which the kernel shares a full processor: 1024 for a core. */
const SHARES_PER_CORE = 1024;
const SHARES_MIN = 2;
/**
 * A ceiling is a budget for a period, which a greedy container spends at once, on all cores, while its neighbours wait: a fifth of the
 * kernel's usual 100 ms, so that a wait is a fifth as long. Not shorter: an app's own burst would be cut into as many pieces more.
 */
const CPU_PERIOD_MICROS = 20_000;
/** What the kernel takes at least as a budget. */
const CPU_QUOTA_MICROS_MIN = 1_000;

/** What this node can set, and how it is set here. */
export interface Confining {
  /** The Engine's name of the runtime; null: its default. */
  readonly runtime: string | null;
  /** The disk for which rates are set; null: none are. */
  readonly disk: string | null;
  readonly ioBytesPerSecondMax: number;
  readonly ioOperationsPerSecondMax: number;
  /** The Engine's storage limits what is written. */
  readonly limitsStorage: boolean;
  /** Empty: as the Engine has it. */
  readonly nameServers: readonly string[];
}

export function confinement({ resources, readOnlyRoot }: DesiredInstance, confining: Confining): HostConfig {
  const { runtime, disk, limitsStorage, nameServers } = confining;
  const rate = (max: number) => (disk === null ? {} : { Path: disk, Rate: max });
  const [bytes, operations] = [rate(confining.ioBytesPerSecondMax), rate(confining.ioOperationsPerSecondMax)];
  return {
    Privileged: false,
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges"],
    ReadonlyRootfs: readOnlyRoot,
    Tmpfs: readOnlyRoot ? TMPFS : undefined,
    // A namespace of its own of every kind; the network's is by NetworkMode, the users' by how the Engine was set up.
    IpcMode: "private",
    CgroupnsMode: "private",
    ShmSize: SHM_BYTES,
    Memory: resources.memoryBytes,
    MemorySwap: resources.memoryBytes,
    OomKillDisable: false,
    OomScoreAdj: OOM_SCORE,
    ...cpuCeiling(resources.cpuMilli),
    CpuShares: Math.max(SHARES_MIN, Math.round((resources.cpuMilli * SHARES_PER_CORE) / 1_000)),
    PidsLimit: resources.pids,
    Ulimits: [
      { Name: "nofile", Soft: NOFILE, Hard: NOFILE },
      { Name: "core", Soft: 0, Hard: 0 },
      // No single file can be larger than all that it may write.
      { Name: "fsize", Soft: resources.diskBytes, Hard: resources.diskBytes },
    ],
    BlkioWeight: IO_WEIGHT,
    ...(disk === null
      ? {}
      : {
          BlkioDeviceReadBps: [bytes],
          BlkioDeviceWriteBps: [bytes],
          BlkioDeviceReadIOps: [operations],
          BlkioDeviceWriteIOps: [operations],
        }),
    ...(limitsStorage ? { StorageOpt: { size: String(resources.diskBytes) } } : {}),
    ...(runtime === null ? {} : { Runtime: runtime }),
    ...(nameServers.length === 0 ? {} : { Dns: [...nameServers] }),
    LogConfig: ENGINE_LOG,
  };
}

function cpuCeiling(cpuMilli: number): { CpuPeriod: number; CpuQuota: number } {
  const period = Math.max(CPU_PERIOD_MICROS, Math.ceil((CPU_QUOTA_MICROS_MIN * 1_000) / cpuMilli));
  return { CpuPeriod: period, CpuQuota: Math.round((period * cpuMilli) / 1_000) };
}
