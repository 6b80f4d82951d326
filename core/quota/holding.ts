// Sums of what apps hold.
import type { Holding } from "../../contracts/quota.ts";
import type { Resources } from "../../contracts/release.ts";

export const NOTHING: Holding = { instances: 0, cpuMilli: 0, memoryBytes: 0, diskBytes: 0 };

const each = (of: (part: keyof Holding) => number): Holding => ({
  instances: of("instances"),
  cpuMilli: of("cpuMilli"),
  memoryBytes: of("memoryBytes"),
  diskBytes: of("diskBytes"),
});

export const holdingOf = (replicas: number, resources: Omit<Resources, "pids">): Holding =>
  each((part) => replicas * (part === "instances" ? 1 : resources[part]));
export const plus = (one: Holding, other: Holding): Holding => each((part) => one[part] + other[part]);
export const larger = (one: Holding, other: Holding): Holding => each((part) => Math.max(one[part], other[part]));
/** In every part. */
export const within = (one: Holding, other: Holding): boolean =>
  one.instances <= other.instances &&
  one.cpuMilli <= other.cpuMilli &&
  one.memoryBytes <= other.memoryBytes &&
  one.diskBytes <= other.diskBytes;
