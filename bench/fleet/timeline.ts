// A return, slice by slice: what came which way, what was turned away or lost, and how busy workerd was with it.
import type { Stack } from "../../dev/stack.ts";
import type { Fleet, FleetReport } from "../sim-fleet/fleet.ts";
import { spentMs, usageOf, type Usage } from "../sim-fleet/process-usage.ts";
import { quantile, rounded } from "../shared/report.ts";

export interface Slice {
  readonly atMs: number;
  readonly workerdCorePercent: number | null;
  readonly fleetCorePercent: number;
  readonly httpBeats: number;
  readonly socketBeats: number;
  readonly beatP99Ms: number | null;
  readonly sockets: number;
  readonly polls: number;
  readonly failures: Readonly<Record<string, number>>;
}

export class Timeline {
  readonly slices: Slice[] = [];
  readonly #stack: Stack;
  readonly #fleet: Fleet;
  readonly #sinceMs = performance.now();
  #lookedAtMs = this.#sinceMs;
  #workerd: { readonly pid: number; readonly usage: Usage | null };

  constructor(stack: Stack, fleet: Fleet) {
    this.#stack = stack;
    this.#fleet = fleet;
    this.#workerd = this.#look();
  }

  /** One more slice, once so much time has passed since the last one. */
  async slice(everyMs: number): Promise<void> {
    const nowMs = performance.now();
    const seconds = (nowMs - this.#lookedAtMs) / 1_000;
    if (seconds * 1_000 < everyMs) return;
    this.#lookedAtMs = nowMs;
    const before = this.#workerd;
    this.#workerd = this.#look();
    const spent = before.pid === this.#workerd.pid ? spentMs(before.usage, this.#workerd.usage) : null;
    this.slices.push({
      atMs: rounded(nowMs - this.#sinceMs, 0),
      workerdCorePercent: spent === null ? null : rounded(spent / seconds / 10, 0),
      ...shown(await this.#fleet.report(), seconds),
    });
  }

  #look() {
    const pid = this.#stack.processes()["control.workerd"] ?? 0;
    return { pid, usage: usageOf(pid) };
  }
}

function shown(report: FleetReport, seconds: number) {
  const { heartbeatMs, socketBeats, sockets, wakes, pollsTimedOut, pollsAnsweredAtOnce, failures, cpuMs } = report;
  return {
    fleetCorePercent: rounded(cpuMs / seconds / 10, 0),
    httpBeats: heartbeatMs.length - socketBeats,
    socketBeats,
    beatP99Ms: heartbeatMs.length === 0 ? null : rounded(quantile(heartbeatMs, 0.99), 0),
    sockets,
    polls: wakes.length + pollsTimedOut + pollsAnsweredAtOnce,
    failures,
  };
}
