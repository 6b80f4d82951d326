// The probes of one run, over time: startup holds the others back, readiness gates traffic, liveness ends the run.
import type { Probe, Probes } from "../../../contracts/release.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { pause } from "../link/pause.ts";
import { probe } from "./probe.ts";

export interface HealthPorts {
  readonly probes: Probes;
  readonly host: string;
  readonly port: number;
  readonly limits: AgentLimits;
  /** Called with each change: null when ready, else why it is not. */
  readonly onReady: (fault: string | null) => void;
  /** The run must end: it never became ready in its time, or no longer answers. */
  readonly onDoomed: (code: "never_ready" | "liveness_failed", fault: string) => void;
}

/** Runs until the signal is aborted or the run is doomed. wasReady: an adopted run, which needs no startup any more. */
export async function watchHealth(ports: HealthPorts, wasReady: boolean, signal: AbortSignal): Promise<void> {
  const { probes } = ports;
  if (!wasReady && !(await becomesReady(ports, signal))) return;
  if (signal.aborted) return;
  await Promise.all([
    watchReadiness(ports, wasReady, signal),
    probes.liveness && watchLiveness(ports, probes.liveness, signal),
  ]);
}

function ask({ host, port }: HealthPorts, how: Probe, signal: AbortSignal, connectWithinMs = how.timeoutMs) {
  return probe(how, { host, port, signal, connectWithinMs });
}

/** First at once, then soon, then less and less often: a release waits for this answer. */
async function becomesReady(ports: HealthPorts, signal: AbortSignal): Promise<boolean> {
  const { probes, limits } = ports;
  const startedAtMs = performance.now();
  const { startup, readiness } = probes;
  const budgetMs =
    startup === undefined
      ? limits.startupBudgetMs * limits.startupBudgetShare
      : startup.periodMs * startup.failureThreshold;
  let waitMs: number = limits.probeFirstMs;
  for (let startedUp = startup === undefined; !signal.aborted;) {
    const how: Probe = startedUp ? readiness : (startup ?? readiness);
    const fault = await ask(ports, how, signal, limits.probeConnectMs);
    if (signal.aborted) return false;
    if (fault === null) {
      if (startedUp) {
        ports.onReady(null);
        return true;
      }
      startedUp = true;
      waitMs = limits.probeFirstMs;
      continue;
    }
    const spentMs = performance.now() - startedAtMs;
    const allowedMs = startedUp && startup !== undefined ? limits.startupBudgetMs : budgetMs;
    if (spentMs >= allowedMs) {
      ports.onDoomed("never_ready", `not ready within ${Math.round(spentMs / 100) / 10} s: ${fault}`);
      return false;
    }
    await pause(Math.min(waitMs, Math.max(1, allowedMs - spentMs)), signal);
    waitMs = Math.min(waitMs * 1.5, how.periodMs);
  }
  return false;
}

async function watchReadiness(ports: HealthPorts, checkNow: boolean, signal: AbortSignal): Promise<void> {
  const { readiness } = ports.probes;
  let failures = 0;
  let ready = true;
  if (!checkNow) await pause(readiness.periodMs, signal);
  while (!signal.aborted) {
    const fault = await ask(ports, readiness, signal);
    if (signal.aborted) return;
    failures = fault === null ? 0 : failures + 1;
    if (fault === null && !ready) {
      ready = true;
      ports.onReady(null);
    }
    if (fault !== null && ready && failures >= readiness.failureThreshold) {
      ready = false;
      ports.onReady(fault);
    }
    await pause(readiness.periodMs, signal);
  }
}

async function watchLiveness(ports: HealthPorts, liveness: Probe, signal: AbortSignal): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    await pause(liveness.periodMs, signal);
    if (signal.aborted) return;
    const fault = await ask(ports, liveness, signal);
    if (signal.aborted) return;
    failures = fault === null ? 0 : failures + 1;
    if (fault !== null && failures >= liveness.failureThreshold) {
      ports.onDoomed("liveness_failed", fault);
      return;
    }
  }
}
