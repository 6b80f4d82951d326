// What this isolate has seen of nodes and instances: requests under way, and nodes to keep away from for a while.
import type { NodeId } from "../../contracts/ids.ts";

export class Busy {
  readonly #inFlight = new Map<string, number>();
  readonly #ejectedUntilMs = new Map<NodeId, number>();

  get inFlight(): ReadonlyMap<string, number> {
    return this.#inFlight;
  }

  began(key: string): void {
    this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) + 1);
  }

  ended(key: string): void {
    const left = (this.#inFlight.get(key) ?? 1) - 1;
    if (left <= 0) this.#inFlight.delete(key);
    else this.#inFlight.set(key, left);
  }

  eject(node: NodeId, untilMs: number): void {
    this.#ejectedUntilMs.set(node, Math.max(untilMs, this.#ejectedUntilMs.get(node) ?? 0));
  }

  readmit(node: NodeId): void {
    this.#ejectedUntilMs.delete(node);
  }

  ejected(nowMs: number): ReadonlySet<NodeId> {
    if (this.#ejectedUntilMs.size === 0) return NOBODY;
    for (const [node, untilMs] of this.#ejectedUntilMs) if (untilMs <= nowMs) this.#ejectedUntilMs.delete(node);
    return new Set(this.#ejectedUntilMs.keys());
  }
}

const NOBODY: ReadonlySet<NodeId> = new Set();
