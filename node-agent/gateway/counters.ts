// Counters per instance since this process started: requests, status classes, bytes, latency, open requests.
import type { EndpointInstance, GatewayInstanceCounters } from "../endpoint-file.ts";
import { LATENCY_BUCKETS_MS } from "../endpoint-file.ts";

/** Written to on the hot path, so mutable; the shape that the agent gets. */
export class InstanceTally {
  requests = 0;
  readonly status = { s1xx: 0, s2xx: 0, s3xx: 0, s4xx: 0, s5xx: 0 };
  bytesIn = 0;
  bytesOut = 0;
  readonly latency: number[] = Array.from({ length: LATENCY_BUCKETS_MS.length + 1 }, () => 0);
  open = 0;
  usedAtMs = 0;

  /** status of the app's answer, or of the gateway's own; tookMs: to the head of the answer. */
  answered(status: number, tookMs: number): void {
    this.requests++;
    if (status < 200) this.status.s1xx++;
    else if (status < 300) this.status.s2xx++;
    else if (status < 400) this.status.s3xx++;
    else if (status < 500) this.status.s4xx++;
    else this.status.s5xx++;
    let bucket = 0;
    while (bucket < LATENCY_BUCKETS_MS.length && tookMs > (LATENCY_BUCKETS_MS[bucket] as number)) bucket++;
    this.latency[bucket] = (this.latency[bucket] as number) + 1;
  }
}

export class Counters {
  readonly #tallies = new Map<string, { readonly of: EndpointInstance; readonly tally: InstanceTally }>();
  readonly #keptMs: number;

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  of(instance: EndpointInstance): InstanceTally {
    const key = `${instance.instance}/${instance.generation}`;
    let entry = this.#tallies.get(key);
    if (entry === undefined) {
      entry = { of: instance, tally: new InstanceTally() };
      this.#tallies.set(key, entry);
    }
    return entry.tally;
  }

  list(): GatewayInstanceCounters[] {
    return [...this.#tallies.values()].map(({ of, tally }) => ({
      instance: of.instance,
      generation: of.generation,
      requests: tally.requests,
      status: { ...tally.status },
      bytesIn: tally.bytesIn,
      bytesOut: tally.bytesOut,
      latency: [...tally.latency],
      open: tally.open,
    }));
  }

  /** Drops instances that are in the file no more and have been idle for long enough for the agent to have read them. */
  prune(present: (instance: EndpointInstance) => boolean, nowMs: number): void {
    for (const [key, { of, tally }] of this.#tallies) {
      if (present(of) || tally.open > 0) tally.usedAtMs = nowMs;
      else if (nowMs - tally.usedAtMs > this.#keptMs) this.#tallies.delete(key);
    }
  }
}
