// Watches over requests whose answer is late: one timer and one probe per node and moment, however many requests wait.
import type { NodeId } from "../../contracts/ids.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";

const limits = ROUTING_LIMITS;

/** The requests that were sent to one node within watchShareMs. */
class Watch {
  readonly startedAtMs: number;
  readonly #waiting = new Set<(gone: "node_gone") => void>();

  constructor(startedAtMs: number) {
    this.startedAtMs = startedAtMs;
  }

  get idle(): boolean {
    return this.#waiting.size === 0;
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

  /** A promise of another request may be resolved here: workerd resumes its own request. */
  end(): void {
    for (const resolve of this.#waiting) resolve("node_gone");
    this.#waiting.clear();
  }
}

export class Watches {
  readonly #byNode = new Map<NodeId, Watch[]>();
  readonly #newest = new Map<NodeId, Watch>();

  /** The watch of this moment over a node, if one has begun. */
  current(node: NodeId, nowMs: number): Watch | null {
    const newest = this.#newest.get(node);
    return newest !== undefined && nowMs - newest.startedAtMs < limits.watchShareMs ? newest : null;
  }

  /** A new one; it is kept alive beyond the request that began it. */
  begin(node: NodeId, nowMs: number, probe: () => Promise<boolean>, keepAlive: (work: Promise<void>) => void): Watch {
    const watch = new Watch(nowMs);
    this.#add(node, watch);
    keepAlive(this.#run(node, watch, probe));
    return watch;
  }

  /** Those that are over go; those whose visitors must have left too, since such a request never settles. */
  #add(node: NodeId, watch: Watch): void {
    const oldestMs = watch.startedAtMs - limits.waitForgottenMs;
    const youngMs = watch.startedAtMs - limits.suspectAfterMs;
    const kept = (this.#byNode.get(node) ?? []).filter(
      ({ startedAtMs, idle }) => startedAtMs > youngMs || (!idle && startedAtMs > oldestMs),
    );
    this.#byNode.set(node, [...kept, watch]);
    this.#newest.set(node, watch);
  }

  /**
   * A first probe that fails ends what was sent lately; a second one, a moment later, ends also what had waited for longer
   * (long polls: a gateway that is busy for half a second must not cost them).
   */
  async #run(node: NodeId, watch: Watch, probe: () => Promise<boolean>): Promise<void> {
    await pause(limits.suspectAfterMs);
    if (watch.idle || (await probe())) return;
    this.#end(node, watch.startedAtMs - limits.suspectAfterMs);
    if (!this.#anyWaiting(node)) return;
    await pause(limits.ejectMs);
    if (this.#anyWaiting(node) && !(await probe())) this.#end(node, 0);
  }

  #anyWaiting(node: NodeId): boolean {
    return this.#byNode.get(node)?.some(({ idle }) => !idle) ?? false;
  }

  #end(node: NodeId, sinceMs: number): void {
    for (const watch of this.#byNode.get(node) ?? []) if (watch.startedAtMs >= sinceMs) watch.end();
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
