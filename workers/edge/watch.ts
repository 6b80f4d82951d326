// Watches over requests whose answer is late: one timer and one probe per node and moment, however many requests wait.
import type { NodeId } from "../../contracts/ids.ts";
import type { Endpoint } from "../../contracts/route.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";

const limits = ROUTING_LIMITS;

/** The requests that were sent to one node within watchShareMs. */
export class Watch {
  readonly startedAtMs: number;
  readonly #waiting = new Set<(gone: "node_gone") => void>();

  constructor(startedAtMs: number) {
    this.startedAtMs = startedAtMs;
  }

  /** What the work comes to, or that the node's gateway answered neither in time nor a probe. */
  over<Value>(work: Promise<Value>): Promise<Value | "node_gone"> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(resolve);
      work.then(
        (value) => {
          this.#waiting.delete(resolve);
          resolve(value);
        },
        (error: unknown) => {
          this.#waiting.delete(resolve);
          reject(error as Error);
        },
      );
    });
  }

  /** Settles once nothing is left to watch. A promise of another request may be resolved here: workerd resumes its own request. */
  async run(probe: () => Promise<boolean>): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, limits.suspectAfterMs));
    if (this.#waiting.size === 0 || (await probe())) return;
    for (const resolve of this.#waiting) resolve("node_gone");
  }
}

export class Watches {
  readonly #watches = new Map<NodeId, Watch>();

  /** The watch of this moment over a node; a new one is kept alive beyond the request that began it. */
  over(
    endpoint: Endpoint,
    probe: (endpoint: Endpoint) => Promise<boolean>,
    keepAlive: (work: Promise<void>) => void,
  ): Watch {
    const nowMs = Date.now();
    const current = this.#watches.get(endpoint.node);
    if (current !== undefined && nowMs - current.startedAtMs < limits.watchShareMs) return current;
    const watch = new Watch(nowMs);
    this.#watches.set(endpoint.node, watch);
    const forget = (): void => {
      if (this.#watches.get(endpoint.node) === watch) this.#watches.delete(endpoint.node);
    };
    keepAlive(watch.run(() => probe(endpoint)).finally(forget));
    return watch;
  }
}
