// Watches over requests whose answer is late: one timer and one probe per node and moment, however many requests wait.
import type { NodeId } from "../../contracts/ids.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import type { Presence } from "../../core/routing/presence.ts";

const limits = ROUTING_LIMITS;

/** What a probe said of a gateway whose answer is late. */
export class Late {
  readonly presence: Exclude<Presence, "answers">;

  constructor(presence: Late["presence"]) {
    this.presence = presence;
  }
}

/** The requests that were sent to one node within watchShareMs. */
class Watch {
  readonly startedAtMs: number;
  readonly #waiting = new Set<(late: Late) => void>();

  constructor(startedAtMs: number) {
    this.startedAtMs = startedAtMs;
  }

  get idle(): boolean {
    return this.#waiting.size === 0;
  }

  /**
   * What the work comes to, or that the node's gateway answered neither in time nor a probe. The word of the latter has a promise of
   * its own: an answer that comes while that word is on its way from another request is taken. A promise that had been resolved by
   * then would keep it, and workerd ends a request that has nothing of its own left to wait for.
   */
  over<Value>(work: Promise<Value>): Promise<Value | Late> {
    return new Promise((resolve, reject) => {
      let tell: (late: Late) => void = () => undefined;
      void new Promise<Late>((told) => (tell = told)).then(resolve);
      this.#waiting.add(tell);
      work.then(
        (value) => {
          this.#waiting.delete(tell);
          resolve(value);
        },
        (error: unknown) => {
          this.#waiting.delete(tell);
          reject(error as Error);
        },
      );
    });
  }

  /** A promise of another request may be resolved here: workerd resumes its own request. */
  end(late: Late): void {
    for (const resolve of this.#waiting) resolve(late);
    this.#waiting.clear();
  }
}

export class Watches {
  readonly #byNode = new Map<NodeId, Watch[]>();
  readonly #newest = new Map<NodeId, Watch>();
  #prunedAtMs = 0;

  /** Nodes that something is kept of. */
  get size(): number {
    return this.#byNode.size;
  }

  /** The watch of this moment over a node, if one has begun. */
  current(node: NodeId, nowMs: number): Watch | null {
    const newest = this.#newest.get(node);
    return newest !== undefined && nowMs - newest.startedAtMs < limits.watchShareMs ? newest : null;
  }

  /** A new one; it is kept alive beyond the request that began it. */
  begin(node: NodeId, nowMs: number, probe: () => Promise<Presence>, keepAlive: (work: Promise<void>) => void): Watch {
    const watch = new Watch(nowMs);
    this.#add(node, watch);
    keepAlive(this.#run(node, watch, probe));
    return watch;
  }

  /** Those that are over go; those whose visitors must have left too, since such a request never settles. */
  #add(node: NodeId, watch: Watch): void {
    this.#prune(watch.startedAtMs);
    this.#byNode.set(node, [...this.#livingOf(node, watch.startedAtMs), watch]);
    this.#newest.set(node, watch);
  }

  #livingOf(node: NodeId, nowMs: number): Watch[] {
    const oldestMs = nowMs - limits.waitForgottenMs;
    const youngMs = nowMs - limits.suspectAfterMs;
    return (this.#byNode.get(node) ?? []).filter(
      ({ startedAtMs, idle }) => startedAtMs > youngMs || (!idle && startedAtMs > oldestMs),
    );
  }

  /** An isolate that lives for weeks meets nodes that come and go. Seldom, because it looks at all of them. */
  #prune(nowMs: number): void {
    if (nowMs - this.#prunedAtMs < limits.waitForgottenMs) return;
    this.#prunedAtMs = nowMs;
    for (const node of this.#byNode.keys()) {
      if (this.#livingOf(node, nowMs).length > 0) continue;
      this.#byNode.delete(node);
      this.#newest.delete(node);
    }
  }

  /**
   * A first probe that fails ends what was sent lately; a second one, a moment later, ends also what had waited for longer
   * (long polls: a gateway that is busy for half a second must not cost them).
   */
  async #run(node: NodeId, watch: Watch, probe: () => Promise<Presence>): Promise<void> {
    await pause(limits.suspectAfterMs);
    if (watch.idle) return;
    const first = await probe();
    if (first === "answers") return;
    this.#end(node, watch.startedAtMs - limits.suspectAfterMs, new Late(first));
    if (!this.#anyWaiting(node)) return;
    await pause(limits.ejectMs);
    if (!this.#anyWaiting(node)) return;
    const second = await probe();
    if (second !== "answers") this.#end(node, 0, new Late(second));
  }

  #anyWaiting(node: NodeId): boolean {
    return this.#byNode.get(node)?.some(({ idle }) => !idle) ?? false;
  }

  #end(node: NodeId, sinceMs: number, late: Late): void {
    for (const watch of this.#byNode.get(node) ?? []) if (watch.startedAtMs >= sinceMs) watch.end(late);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
