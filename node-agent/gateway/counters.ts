// Counters per instance since this process started: requests, status classes, bytes, latency, open requests.
import { randomUUID } from "node:crypto";
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

  /**
   * status of the app's answer, or of the gateway's own; tookMs: to the head of the answer. byName: a visitor who asked for this
   * release is billed for, and no part of the sample that its judge looks at.
   */
  answered(status: number, tookMs: number, byName: boolean): void {
    this.requests++;
    if (byName) return;
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
  /** The same by the object of the endpoint file: no key to be made for each request. */
  readonly #known = new WeakMap<EndpointInstance, InstanceTally>();
  readonly #keptMs: number;
  /** What the gateway that handed over to this one had counted. */
  #inherited = new Map<string, GatewayInstanceCounters>();
  #startId: string = randomUUID();

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  of(instance: EndpointInstance): InstanceTally {
    const known = this.#known.get(instance);
    if (known !== undefined) return known;
    const key = `${instance.instance}/${instance.generation}`;
    let entry = this.#tallies.get(key);
    if (entry === undefined) {
      entry = { of: instance, tally: new InstanceTally() };
      this.#tallies.set(key, entry);
    }
    this.#known.set(instance, entry.tally);
    return entry.tally;
  }

  /** Names the process that began to count: it stays over a hand-over, because the sums do. */
  get startId(): string {
    return this.#startId;
  }

  /** All that the one before has counted, its newest word for all of it. */
  inherit(startId: string, instances: readonly GatewayInstanceCounters[]): void {
    this.#startId = startId;
    this.#inherited = new Map(instances.map((row) => [`${row.instance}/${row.generation}`, row]));
  }

  list(): GatewayInstanceCounters[] {
    const rows = new Map(this.#inherited);
    for (const [key, { of, tally }] of this.#tallies) {
      const own = {
        instance: of.instance,
        generation: of.generation,
        requests: tally.requests,
        status: { ...tally.status },
        bytesIn: tally.bytesIn,
        bytesOut: tally.bytesOut,
        latency: [...tally.latency],
        open: tally.open,
      };
      const before = rows.get(key);
      rows.set(key, before === undefined ? own : sumOf(before, own));
    }
    return [...rows.values()];
  }

  /** Drops instances that are in the file no more and have been idle for long enough for the agent to have read them. */
  prune(present: (instance: EndpointInstance) => boolean, nowMs: number): void {
    for (const [key, { of, tally }] of this.#tallies) {
      if (present(of) || tally.open > 0) tally.usedAtMs = nowMs;
      else if (nowMs - tally.usedAtMs > this.#keptMs) this.#tallies.delete(key);
    }
  }
}

function sumOf(a: GatewayInstanceCounters, b: GatewayInstanceCounters): GatewayInstanceCounters {
  const status = { ...a.status };
  for (const name of Object.keys(status) as (keyof typeof status)[]) status[name] += b.status[name];
  return {
    ...b,
    status,
    requests: a.requests + b.requests,
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
    latency: b.latency.map((count, bucket) => count + (a.latency[bucket] ?? 0)),
    open: a.open + b.open,
  };
}
