// What this isolate holds against nodes and instances, and the probes that decide about nodes (core/routing/ejections.ts).
import { instanceKey } from "../../contracts/desired.ts";
import type { NodeId } from "../../contracts/ids.ts";
import type { Endpoint, Route } from "../../contracts/route.ts";
import {
  answered,
  ejected,
  mayBeBack,
  mayTry,
  onTrial,
  standing,
  type Ejection,
  type Out,
} from "../../core/routing/ejections.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import type { Presence } from "../../core/routing/presence.ts";
import { Flights } from "./flight.ts";
import { presenceOf } from "./probe.ts";

const limits = ROUTING_LIMITS;
/** Who joins another request's probe waits a little longer than it may take. */
const PROBE_SLACK_MS = 200;
type KeepAlive = (promise: Promise<unknown>) => void;

export class Ejections {
  readonly #nodes = new Map<NodeId, Ejection>();
  readonly #instances = new Map<string, Ejection>();
  readonly #probes = new Flights<Presence>();
  #prunedAtMs = 0;

  /** Nothing is held against anybody: the usual case, and the hot path. */
  get none(): boolean {
    return this.#nodes.size === 0 && this.#instances.size === 0;
  }

  /** Whom a request is to leave alone while others are there. A node that is due is probed, never tried on a visitor. */
  avoids(repeatable: boolean, nowMs: number): ((endpoint: Endpoint) => boolean) | null {
    this.#prune(nowMs);
    if (this.none) return null;
    return (endpoint) => {
      if (standing(this.#nodes.get(endpoint.node), nowMs) !== "in") return true;
      const known = this.#instances.get(instanceKey(endpoint));
      if (known === undefined || standing(known, nowMs) === "in") return false;
      return !mayTry(known, repeatable, nowMs, limits);
    };
  }

  /** routeAtMs: when the route that names the node was made. */
  nodeStanding(node: NodeId, routeAtMs: number, nowMs: number): { readonly kind: "in" | "due" } | Out {
    const known = this.#nodes.get(node);
    if (mayBeBack(known, routeAtMs)) return { kind: "due" };
    if (known?.kind === "out" && nowMs < known.untilMs) return known;
    return { kind: standing(known, nowMs) === "due" ? "due" : "in" };
  }

  /** Whether the route has anybody on another node that nothing is held against. */
  standsBeside({ state }: Route, node: NodeId, nowMs: number): boolean {
    if (state.kind !== "serving") return false;
    const stands = (one: Endpoint): boolean => one.node !== node && standing(this.#nodes.get(one.node), nowMs) === "in";
    return state.releases.some(({ endpoints }) => endpoints.some(stands));
  }

  /** The instance's own fault, or its connection's. */
  eject(endpoint: Endpoint, nowMs: number): Out {
    const key = instanceKey(endpoint);
    const ejection = ejected(this.#instances.get(key), nowMs, limits);
    remember(this.#instances, key, ejection);
    return ejection;
  }

  /** Whoever is sent to an instance that is due is its trial. */
  sent(endpoint: Endpoint, nowMs: number): void {
    const known = this.#instances.get(instanceKey(endpoint));
    if (standing(known, nowMs) === "due")
      remember(this.#instances, instanceKey(endpoint), onTrial(known, nowMs, limits));
  }

  isOnTrial(endpoint: Endpoint): boolean {
    return this.#instances.get(instanceKey(endpoint))?.kind === "trial";
  }

  /** The gateway answered, and where the answer was the app's own, the instance did. */
  answered(endpoint: Endpoint, byApp: boolean, sentAtMs: number, nowMs: number): void {
    const { node } = endpoint;
    settle(this.#nodes, node, answered(this.#nodes.get(node), sentAtMs, nowMs, limits));
    if (!byApp) return;
    const key = instanceKey(endpoint);
    settle(this.#instances, key, answered(this.#instances.get(key), sentAtMs, nowMs, limits));
  }

  /**
   * Whether the node's gateway answers. One probe at a time; while it is out nobody is sent there whom others can serve.
   * Another request's probe that does not end in time says nothing of the node: it may be this isolate that has no time.
   */
  async probe({ node, gatewayUrl }: Endpoint, keepAlive: KeepAlive): Promise<Presence> {
    const waitMs = limits.probeTimeoutMs + PROBE_SLACK_MS;
    return (await this.#probes.run(node, () => this.#ask(node, gatewayUrl), waitMs, keepAlive)) ?? "busy";
  }

  async #ask(node: NodeId, gatewayUrl: string): Promise<Presence> {
    const sentAtMs = Date.now();
    remember(this.#nodes, node, onTrial(this.#nodes.get(node), sentAtMs, limits));
    const presence = await presenceOf(gatewayUrl, node, limits.probeTimeoutMs);
    const known = this.#nodes.get(node);
    const nowMs = Date.now();
    if (presence === "answers") settle(this.#nodes, node, answered(known, sentAtMs, nowMs, limits));
    else remember(this.#nodes, node, ejected(known, nowMs, limits));
    return presence;
  }

  /** What was forgiven long ago; at most once in a second, because an outage may leave thousands. */
  #prune(nowMs: number): void {
    if (this.none || nowMs - this.#prunedAtMs < 1_000) return;
    this.#prunedAtMs = nowMs;
    for (const map of [this.#nodes, this.#instances] as Map<string, Ejection>[]) {
      for (const [key, known] of map) if (isForgotten(known, nowMs)) map.delete(key);
    }
  }
}

/** An ejection that nobody has tried since is forgotten too: its route has most likely gone on without it. */
const isForgotten = (known: Ejection, nowMs: number): boolean =>
  (known.kind === "back" ? known.forgetAtMs : known.untilMs + limits.ejectForgetMs) <= nowMs;

function remember<Key>(map: Map<Key, Ejection>, key: Key, ejection: Ejection): void {
  map.delete(key);
  if (map.size >= limits.ejectionsMax) map.delete(map.keys().next().value as Key);
  map.set(key, ejection);
}

function settle<Key>(map: Map<Key, Ejection>, key: Key, ejection: Ejection | undefined): void {
  if (ejection === undefined) map.delete(key);
  else map.set(key, ejection);
}
