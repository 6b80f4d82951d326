// The many visitors behind the few who are followed one by one: what gateways count of them while a rollout is judged.
import { instanceKey } from "../../contracts/desired.ts";
import type { AppId } from "../../contracts/ids.ts";
import type { Route } from "../../contracts/route.ts";
import type { AppSite, Cluster } from "./cluster.ts";
import { behaviourOf, type Behaviour } from "./node/engine.ts";
import type { World } from "./world.ts";

/** Some apps are hardly visited, some by crowds; in a second. */
export const CROWDS = { any: [6, 120, 800], large: [800] } as const;
const TICK_MS = 1_000;
const ERROR_RATES: Partial<Record<Behaviour, number>> = { faulty: 0.05 };
const USUAL_ERROR_RATE = 0.001;

export class Crowd {
  private readonly world: World;
  private readonly cluster: Cluster;
  private readonly routeOf: (app: AppId) => Route | null;

  private readonly sizes: readonly number[];

  constructor(world: World, cluster: Cluster, sizes: readonly number[], routeOf: (app: AppId) => Route | null) {
    this.sizes = sizes;
    this.world = world;
    this.cluster = cluster;
    this.routeOf = routeOf;
  }

  start(): void {
    for (const site of this.cluster.apps.values()) {
      const size = this.world.pick(this.sizes);
      this.world.every(
        TICK_MS,
        TICK_MS,
        () => this.visit(site, size),
        () => false,
      );
    }
  }

  /** Nobody reads what is counted while nothing is rolled out. */
  private visit(site: AppSite, size: number): void {
    if (!site.host.tables.app.get("app")?.rollout) return;
    const route = this.routeOf(site.id);
    if (route?.state.kind !== "serving") return;
    for (const { weight, endpoints } of route.state.releases) {
      if (weight === 0) continue;
      const each = (size * weight) / 100 / endpoints.length;
      for (const { node, instance, generation } of endpoints) {
        const machine = this.cluster.machines.get(node);
        const container = machine?.engine.find({ instance, generation });
        if (!machine || !container || machine.serve(instance, generation) !== 200) continue;
        const requests = this.about(each);
        const rate = ERROR_RATES[behaviourOf(container.desired)] ?? USUAL_ERROR_RATE;
        machine.counts.add(
          instanceKey({ instance, generation }),
          requests,
          Math.min(requests, this.about(each * rate)),
        );
        this.world.happened("request counted", requests);
      }
    }
  }

  /** So many on average. */
  private about(mean: number): number {
    return Math.floor(mean + this.world.random());
  }
}
