// What a server's gateway counted of each instance since it was placed, for the heartbeats of apps that are watched.
import type { InstanceCounters } from "../../../contracts/agent-protocol.ts";
import { instanceKey, type DesiredDocument } from "../../../contracts/desired.ts";

interface Counted {
  readonly requests: number;
  readonly errors: number;
}
const NOTHING: Counted = { requests: 0, errors: 0 };

export class Counts {
  private readonly counted = new Map<string, Counted>();

  add(key: string, requests: number, errors: number): void {
    const known = this.counted.get(key) ?? NOTHING;
    this.counted.set(key, { requests: known.requests + requests, errors: known.errors + errors });
  }

  of(document: DesiredDocument | null): InstanceCounters[] {
    if (!document || document.watch.length === 0) return [];
    const watched = new Set(document.watch);
    return document.instances
      .filter(({ app, job }) => watched.has(app) && !job)
      .map((desired) => {
        const { instance, generation, app, team, release } = desired;
        const { requests, errors } = this.counted.get(instanceKey(desired)) ?? NOTHING;
        const status = { s1xx: 0, s2xx: requests - errors, s3xx: 0, s4xx: 0, s5xx: errors };
        const idle = { runningMs: 0, cpuMs: 0, memoryByteMs: 0, bytesIn: 0, bytesOut: 0, latency: [] };
        return { instance, generation, app, team, release, requests, status, ...idle };
      });
  }
}
