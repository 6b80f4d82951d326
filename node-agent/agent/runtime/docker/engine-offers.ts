// What this Engine offers to keep containers apart and within their limits, by what it says of itself.
import { readFile, realpath, stat } from "node:fs/promises";
import type Docker from "dockerode";
import type { RuntimeClass } from "../../../../contracts/release.ts";

export interface EngineOffers {
  /** Of each class that it has: under which name. Its default for runc, whatever that is called. */
  readonly runtimes: ReadonlyMap<RuntimeClass, string | null>;
  /** The root of a container is nobody on this host. */
  readonly userNamespaces: boolean;
  readonly seccomp: boolean;
  /** Whether AppArmor or SELinux confines containers too. */
  readonly confined: boolean;
  /** The path of the disk that containers write to; null where no rate can be set for it. */
  readonly disk: string | null;
  /** Whether its storage may know a limit for what a container writes. */
  readonly mayLimitStorage: boolean;
  /** What it cannot keep within limits, for people. */
  readonly lacks: readonly string[];
}

interface EngineInfo {
  readonly Runtimes?: Record<string, unknown>;
  readonly DefaultRuntime?: string;
  readonly SecurityOptions?: readonly string[];
  readonly Driver?: string;
  readonly DriverStatus?: readonly (readonly [string, string])[];
  readonly DockerRootDir?: string;
  readonly Warnings?: readonly string[] | null;
  readonly MemoryLimit?: boolean;
  readonly SwapLimit?: boolean;
  readonly PidsLimit?: boolean;
  readonly CpuCfsQuota?: boolean;
}

/** Under which names each runtime is known to Engines. */
const RUNTIME_NAMES: Readonly<Record<RuntimeClass, readonly string[]>> = {
  runc: ["runc", "io.containerd.runc.v2", "crun"],
  runsc: ["runsc", "io.containerd.runsc.v1"],
  kata: ["kata", "kata-runtime", "io.containerd.kata.v2", "kata-qemu", "kata-clh", "kata-fc"],
};

export async function engineOffers(docker: Docker): Promise<EngineOffers> {
  const info = (await docker.info()) as EngineInfo;
  const options = (info.SecurityOptions ?? []).join(" ");
  const seccomp = /name=seccomp/.test(options) && !/profile=unconfined/.test(options);
  const throttles = !(info.Warnings ?? []).some((warning) => /blkio throttle/i.test(warning));
  return {
    runtimes: runtimesOf(info),
    userNamespaces: /name=(userns|rootless)/.test(options),
    seccomp,
    confined: /name=(apparmor|selinux)/.test(options),
    disk: throttles ? await diskUnder(info.DockerRootDir ?? "") : null,
    mayLimitStorage: mayLimitStorage(info),
    lacks: lacksOf(info, seccomp),
  };
}

function runtimesOf({ Runtimes = {}, DefaultRuntime = "runc" }: EngineInfo): Map<RuntimeClass, string | null> {
  const found = new Map<RuntimeClass, string | null>();
  for (const name of Object.keys(RUNTIME_NAMES) as RuntimeClass[]) {
    if (RUNTIME_NAMES[name].includes(DefaultRuntime)) found.set(name, null);
    const known = RUNTIME_NAMES[name].find((one) => one in Runtimes);
    if (!found.has(name) && known !== undefined) found.set(name, known);
  }
  return found;
}

/** overlay2 only over XFS, and there only with project quotas: whether it has those shows when the first container is made. */
function mayLimitStorage({ Driver = "", DriverStatus = [] }: EngineInfo): boolean {
  if (["btrfs", "zfs", "devicemapper"].includes(Driver)) return true;
  return (
    Driver === "overlay2" && DriverStatus.some(([name, value]) => name === "Backing Filesystem" && value === "xfs")
  );
}

function lacksOf(info: EngineInfo, seccomp: boolean): string[] {
  return [
    ...(seccomp ? [] : ["no seccomp profile: every system call of the kernel is open to containers"]),
    ...(info.MemoryLimit === false ? ["no memory limits"] : []),
    ...(info.SwapLimit === false ? ["no swap limits: what is over a memory limit may go to swap"] : []),
    ...(info.PidsLimit === false ? ["no limits on processes"] : []),
    ...(info.CpuCfsQuota === false ? ["no cpu limits"] : []),
  ];
}

/** The whole disk that a folder is on, not its partition: rates are set for those. Null: not on this host, or on no disk of its own. */
async function diskUnder(folder: string): Promise<string | null> {
  try {
    const { dev } = await stat(folder);
    // As Linux numbers devices: 12 bits of major, and 20 of minor in two parts.
    const major = (dev >>> 8) & 0xfff;
    const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
    const device = await realpath(`/sys/dev/block/${major}:${minor}`);
    const isPartition = await stat(`${device}/partition`).then(
      () => true,
      () => false,
    );
    const uevent = await readFile(`${isPartition ? `${device}/..` : device}/uevent`, "utf8");
    const name = /^DEVNAME=(.+)$/m.exec(uevent)?.[1];
    // The kernel knows the disk; where this host is a container itself its device may be missing, and the Engine would start nothing.
    return name !== undefined && (await stat(`/dev/${name}`)).isBlockDevice() ? `/dev/${name}` : null;
  } catch {
    return null;
  }
}
