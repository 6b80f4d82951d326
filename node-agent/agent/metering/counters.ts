// Cumulative counters of one instance: they never fall, whatever is restarted. Pure sums over what was sampled.
import { z } from "zod";
import { InstanceCounters } from "../../../contracts/agent-protocol.ts";
import type { GatewayInstanceCounters } from "../../endpoint-file.ts";
import type { Unit, Usage } from "../runtime/runtime.ts";

const GatewayShare = z.object({
  requests: z.int(),
  status: z.object({ s1xx: z.int(), s2xx: z.int(), s3xx: z.int(), s4xx: z.int(), s5xx: z.int() }),
  bytesIn: z.int(),
  bytesOut: z.int(),
  latency: z.array(z.int()).default([]),
});
type GatewayShare = z.infer<typeof GatewayShare>;

/**
 * counted: how much of the present life, and of the present gateway process, is in the sums already, so that a life that
 * went on while no agent ran is counted whole and once.
 */
export const Account = z.object({
  counters: InstanceCounters,
  life: z.object({ id: z.string(), runningMs: z.number(), cpuMs: z.number() }),
  gateway: z.object({ startId: z.string(), counted: GatewayShare }),
});
export type Account = z.infer<typeof Account>;

const NOTHING: GatewayShare = {
  requests: 0,
  status: { s1xx: 0, s2xx: 0, s3xx: 0, s4xx: 0, s5xx: 0 },
  bytesIn: 0,
  bytesOut: 0,
  latency: [],
};

export function openAccount(unit: Pick<Unit, "instance" | "generation" | "app" | "team" | "release">): Account {
  const { instance, generation, app, team, release } = unit;
  return {
    counters: { instance, generation, app, team, release, runningMs: 0, cpuMs: 0, memoryByteMs: 0, ...NOTHING },
    life: { id: "", runningMs: 0, cpuMs: 0 },
    gateway: { startId: "", counted: NOTHING },
  };
}

/** ranMs: how long this life has lasted. usage is null where it could not be read: time goes on, the rest waits. */
export function countRun(account: Account, life: string, ranMs: number, usage: Usage | null): Account {
  const before = account.life.id === life ? account.life : { id: life, runningMs: 0, cpuMs: 0 };
  const runningMs = Math.max(before.runningMs, ranMs);
  const cpuMs = Math.max(before.cpuMs, usage?.cpuMs ?? 0);
  const more = runningMs - before.runningMs;
  const { counters } = account;
  return {
    ...account,
    counters: {
      ...counters,
      runningMs: counters.runningMs + more,
      cpuMs: counters.cpuMs + cpuMs - before.cpuMs,
      memoryByteMs: counters.memoryByteMs + more * (usage?.memoryBytes ?? 0),
    },
    life: { id: life, runningMs, cpuMs },
  };
}

/** seen: the gateway's own sums since it started; startId names that start. */
export function countTraffic(account: Account, startId: string, seen: GatewayInstanceCounters): Account {
  const before = account.gateway.startId === startId ? account.gateway.counted : NOTHING;
  const more = (now: number, then: number) => Math.max(0, now - then);
  const { counters } = account;
  const status = { ...counters.status };
  for (const name of Object.keys(status) as (keyof typeof status)[]) {
    status[name] += more(seen.status[name], before.status[name]);
  }
  const { requests, bytesIn, bytesOut, latency } = seen;
  return {
    ...account,
    counters: {
      ...counters,
      status,
      requests: counters.requests + more(requests, before.requests),
      bytesIn: counters.bytesIn + more(bytesIn, before.bytesIn),
      bytesOut: counters.bytesOut + more(bytesOut, before.bytesOut),
      latency: latency.map((now, bucket) => (counters.latency[bucket] ?? 0) + more(now, before.latency[bucket] ?? 0)),
    },
    gateway: { startId, counted: { requests, status: { ...seen.status }, bytesIn, bytesOut, latency: [...latency] } },
  };
}
