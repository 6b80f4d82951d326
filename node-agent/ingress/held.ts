// What this ingress holds against nodes and instances, by the edge's own rules (core/routing/ejections.ts), and how busy they are.
import { instanceKey } from "../../contracts/desired.ts";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import { answered, ejected, mayTry, onTrial, standing, type Ejection } from "../../core/routing/ejections.ts";
import { ROUTING_LIMITS as limits } from "../../core/routing/limits.ts";
import type { Tally } from "../gateway/way.ts";

export interface Target {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly node: NodeId;
}

/** What is open at one instance. Nothing else of it is counted here: that is its own gateway's affair. */
class Open implements Tally {
  open = 0;
  bytesIn = 0;
  bytesOut = 0;
  answered(): void {}
}

export class Held {
  readonly #known = new Map<string, Ejection>();
  readonly #open = new Map<string, Open>();
  /** By the object that names it, as long as the snapshot stands: no key is made for each request. */
  #byTarget = new WeakMap<Target, Open>();

  openAt(target: Target): Tally {
    let open = this.#byTarget.get(target);
    if (open !== undefined) return open;
    const key = instanceKey(target);
    open = this.#open.get(key) ?? new Open();
    this.#open.set(key, open);
    this.#byTarget.set(target, open);
    return open;
  }

  readonly load = (target: Target): number => this.openAt(target).open;

  /** Counts of instances at which nothing is open are not kept beyond the snapshot that named them. */
  prune(): void {
    for (const [key, { open }] of this.#open) if (open === 0) this.#open.delete(key);
    this.#byTarget = new WeakMap();
  }

  /** Whom a request is to leave alone while others are there; null: nobody, the usual case. */
  avoids(repeatable: boolean, nowMs: number): ((target: Target) => boolean) | null {
    if (this.#known.size === 0) return null;
    const isOut = (key: string): boolean => {
      const known = this.#known.get(key);
      if (known === undefined || standing(known, nowMs) === "in") return false;
      return !mayTry(known, repeatable, nowMs, limits);
    };
    return (target) => isOut(target.node) || isOut(instanceKey(target));
  }

  /** Whoever is sent to what is due is its trial. */
  sent(target: Target, nowMs: number): void {
    if (this.#known.size === 0) return;
    for (const key of [target.node, instanceKey(target)]) {
      const known = this.#known.get(key);
      if (known !== undefined && standing(known, nowMs) === "due") this.#known.set(key, onTrial(known, nowMs, limits));
    }
  }

  ejectNode({ node }: Target, nowMs: number): void {
    this.#eject(node, nowMs);
  }

  ejectInstance(target: Target, nowMs: number): void {
    this.#eject(instanceKey(target), nowMs);
  }

  /** The gateway answered, and where the answer was the app's own, the instance did. */
  answered(target: Target, byApp: boolean, sentAtMs: number, nowMs: number): void {
    if (this.#known.size === 0) return;
    for (const key of byApp ? [target.node, instanceKey(target)] : [target.node]) {
      const left = answered(this.#known.get(key), sentAtMs, nowMs, limits);
      if (left === undefined) this.#known.delete(key);
      else this.#known.set(key, left);
    }
  }

  #eject(key: string, nowMs: number): void {
    const next = ejected(this.#known.get(key), nowMs, limits);
    this.#known.delete(key);
    if (this.#known.size >= limits.ejectionsMax) this.#known.delete(this.#known.keys().next().value as string);
    this.#known.set(key, next);
  }
}
