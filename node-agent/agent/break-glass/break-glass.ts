// What a node keeps ready for the day on which nothing else answers: its region's snapshot and, where it is to be one, the ingress.
import type { HeartbeatResponse } from "../../../contracts/agent-protocol.ts";
import type { IngressChild } from "./ingress-child.ts";
import type { IngressOrders } from "./ingress-orders.ts";
import type { RegionSnapshot } from "./region-snapshot.ts";

export class BreakGlass {
  readonly #snapshot: RegionSnapshot;
  readonly #ingress: IngressChild | null;
  /** Null: this node is no ingress, or its certificates are given. */
  readonly #orders: IngressOrders | null;

  constructor(snapshot: RegionSnapshot, ingress: IngressChild | null, orders: IngressOrders | null) {
    this.#snapshot = snapshot;
    this.#ingress = ingress;
    this.#orders = orders;
  }

  /** Of heartbeats' answers: somebody left the region. */
  heard({ snapshot }: HeartbeatResponse): void {
    if (snapshot !== undefined) this.#snapshot.isToBe(snapshot);
  }

  start(): void {
    this.#snapshot.start();
    this.#ingress?.start();
    this.#orders?.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#snapshot.stop(), this.#ingress?.stop(), this.#orders?.stop()]);
  }
}
