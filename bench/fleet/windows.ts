// What the machine, workerd and the fleet did during a stretch of time.
import { availableParallelism, cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "../../dev/stack.ts";
import type { Fleet } from "../sim-fleet/fleet.ts";
import { machineUsage, spentMs, usageOf } from "../sim-fleet/process-usage.ts";
import { quantile, rounded, spreadOf } from "../shared/report.ts";

/** Idle time of each core so far, from the kernel. */
const coreTimes = () =>
  cpus().map(({ times }) => ({ idle: times.idle, total: Object.values(times).reduce((sum, ms) => sum + ms, 0) }));

/** Of all cores together, in percent. */
export async function machineBusyPercent(durationMs: number): Promise<number> {
  const before = machineUsage();
  await sleep(durationMs);
  const after = machineUsage();
  return rounded((100 * (after.busyMs - before.busyMs)) / (after.totalMs - before.totalMs), 1);
}

/** Processor time of every process of the stack, and of this one, between two looks. What is gone at one of them counts nothing. */
function looksAtOurs(stack: Stack): () => number {
  const own = process.cpuUsage();
  const before = Object.values(stack.processes()).map((pid) => ({ pid, usage: usageOf(pid) }));
  return () => {
    const { user, system } = process.cpuUsage(own);
    return before.reduce((sum, { pid, usage }) => sum + (spentMs(usage, usageOf(pid)) ?? 0), (user + system) / 1_000);
  };
}

/** workerd's figures are null where it ended, or was started again, meanwhile. */
export async function steadyWindow(stack: Stack, fleet: Fleet, durationMs: number) {
  const workerd = stack.processes()["control.workerd"] ?? 0;
  await fleet.report();
  const oursMs = looksAtOurs(stack);
  const before = { workerd: usageOf(workerd), cores: coreTimes(), atMs: performance.now() };
  await sleep(durationMs);
  const seconds = (performance.now() - before.atMs) / 1_000;
  const after = { workerd: usageOf(workerd), cores: coreTimes(), oursMs: oursMs() };
  const { heartbeatMs, socketBeats, pollsTimedOut, pollsAnsweredAtOnce, failures, cpuMs, loopDelayP99Ms } =
    await fleet.report();
  const busyPercent = after.cores.map(({ idle, total }, core) => {
    const was = before.cores[core] ?? { idle: 0, total: 0 };
    return rounded(100 * (1 - (idle - was.idle) / (total - was.total)), 1);
  });
  const workerdMs = spentMs(before.workerd, after.workerd);
  const requests = heartbeatMs.length + pollsTimedOut + pollsAnsweredAtOnce;
  return {
    seconds: rounded(seconds, 1),
    coresBusyPercent: busyPercent,
    busyPercent: rounded(busyPercent.reduce((sum, share) => sum + share, 0) / busyPercent.length, 1),
    oursPercent: rounded((after.oursMs + cpuMs) / seconds / 10 / availableParallelism(), 1),
    workerdCorePercent: workerdMs && rounded(workerdMs / seconds / 10, 1),
    fleetCorePercent: rounded(cpuMs / seconds / 10, 1),
    workerdMsPerRequest: workerdMs && rounded(workerdMs / Math.max(1, requests), 3),
    heartbeatsPerSecond: rounded(heartbeatMs.length / seconds, 1),
    overSocketsPercent: rounded((100 * socketBeats) / Math.max(1, heartbeatMs.length), 1),
    pollsPerSecond: rounded((requests - heartbeatMs.length) / seconds, 1),
    heartbeatMs:
      heartbeatMs.length === 0 ? null : { ...spreadOf(heartbeatMs, 2), p99: rounded(quantile(heartbeatMs, 0.99), 2) },
    failures,
    fleetLoopDelayP99Ms: rounded(loopDelayP99Ms, 1),
    workerdResidentBytes: after.workerd?.residentBytes ?? null,
  };
}

export type SteadyWindow = Awaited<ReturnType<typeof steadyWindow>>;
