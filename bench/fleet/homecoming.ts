// The control plane goes away and comes back while the whole fleet waits for it: how soon is everybody served again?
import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "../../dev/stack.ts";
import { preciseNow } from "../sim-fleet/clock.ts";
import type { Fleet } from "../sim-fleet/fleet.ts";
import type { Returned } from "../sim-fleet/homecoming.ts";
import { quantile, rounded } from "../shared/report.ts";
import { Timeline } from "./timeline.ts";

const LOOK_MS = 500;
const SLICE_MS = 2_000;

/** Kills the control Worker, holds it down for awayMs, and watches the fleet for at most withinMs after it answers again. */
export async function comeHome(stack: Stack, fleet: Fleet, times: { awayMs: number; withinMs: number }) {
  await stack.kill("control", "SIGKILL", { hold: true });
  await sleep(times.awayMs);
  const startedAtMs = preciseNow();
  // Begun before it answers: the first requests are what matters.
  const starting = stack.start("control");
  // Awaited last: what comes before it is measured meanwhile.
  starting.catch(() => undefined);
  await answers(stack.controlUrl);
  const sinceMs = preciseNow();
  fleet.isBack(sinceMs);
  await fleet.report();
  const timeline = new Timeline(stack, fleet);
  let agents = await fleet.returned();
  while (agents.some((agent) => !isServed(agent)) && preciseNow() < sinceMs + times.withinMs) {
    await sleep(LOOK_MS);
    agents = await fleet.returned();
    await timeline.slice(SLICE_MS);
  }
  await starting;
  return { ...summed(agents, sinceMs), restartMs: rounded(sinceMs - startedAtMs, 0), timeline: timeline.slices };
}

const isServed = ({ heardAtMs, pollSentAtMs }: Returned): boolean => heardAtMs !== null && pollSentAtMs !== null;

async function answers(controlUrl: string): Promise<void> {
  for (;;) {
    const ok = await fetch(`${controlUrl}/healthz`, { signal: AbortSignal.timeout(2_000) }).then(
      (answer) => answer.ok,
      () => false,
    );
    if (ok) return;
    await sleep(10);
  }
}

function summed(agents: readonly Returned[], sinceMs: number) {
  const heard = agents.flatMap(({ heardAtMs }) => (heardAtMs === null ? [] : [heardAtMs - sinceMs]));
  const polling = agents.flatMap(({ pollSentAtMs }) => (pollSentAtMs === null ? [] : [pollSentAtMs - sinceMs]));
  const most = (of: (agent: Returned) => number): number => Math.max(...agents.map(of));
  return {
    agents: agents.length,
    served: agents.filter(isServed).length,
    heardMs: shownMs(heard),
    pollingMs: shownMs(polling),
    allServedMs: rounded(Math.max(...heard, ...polling), 0),
    refusedAtAll: agents.filter(({ refused }) => refused > 0).length,
    refusedTwice: agents.filter(({ refused }) => refused > 1).length,
    refusedMost: most(({ refused }) => refused),
    unansweredAtAll: agents.filter(({ unanswered }) => unanswered > 0).length,
    unansweredMost: most(({ unanswered }) => unanswered),
  };
}

function shownMs(values: readonly number[]) {
  if (values.length === 0) return null;
  const at = (q: number) => rounded(quantile(values, q), 0);
  return { median: at(0.5), p99: at(0.99), max: at(1) };
}
