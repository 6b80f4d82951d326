// What a container's limits are made of.
import { expect, test } from "vitest";
import { confinement } from "../../../node-agent/agent/runtime/docker/profile.ts";
import { desired } from "./world.ts";

const confining = {
  ...{ runtime: null, disk: null, ioBytesPerSecondMax: 1, ioOperationsPerSecondMax: 1 },
  ...{ limitsStorage: false, nameServers: [] },
};

test("a ceiling of processor time is kept within a short period, and within what the kernel takes as a budget", () => {
  const resources = { memoryBytes: 64 * 1024 * 1024, diskBytes: 1024 * 1024, pids: 32 };
  for (const cpuMilli of [10, 33, 47, 50, 250, 1_000, 256_000]) {
    const { CpuPeriod = 0, CpuQuota = 0 } = confinement(desired({ resources: { ...resources, cpuMilli } }), confining);
    expect(CpuQuota / CpuPeriod).toBeCloseTo(cpuMilli / 1_000, 4);
    expect(CpuQuota).toBeGreaterThanOrEqual(1_000);
    expect(CpuPeriod).toBe(cpuMilli >= 50 ? 20_000 : Math.ceil(1_000_000 / cpuMilli));
  }
});
