// The kinds of apps that customers run here, by how they want to be placed.
import { PlacementPolicy } from "../../contracts/release.ts";

export const APP_KINDS = [
  "plain",
  "spread",
  "racks",
  "singleton",
  "strict",
  "two-regions",
  "labelled",
  "ports",
  "away",
] as const;
export type AppKind = (typeof APP_KINDS)[number];

export interface AppPolicy {
  readonly placement: PlacementPolicy;
  readonly replicas: number;
  readonly replicasMax: number;
  readonly regions: number;
  /** An installation in good order has room for it, whichever servers are left of it. */
  readonly isAlwaysPlaceable: boolean;
}

const policy = (change: Partial<AppPolicy> & { placement?: PlacementPolicy }): AppPolicy => ({
  placement: PlacementPolicy.parse({}),
  replicas: 2,
  replicasMax: 5,
  regions: 1,
  isAlwaysPlaceable: true,
  ...change,
});

const POLICIES: Record<AppKind, AppPolicy> = {
  plain: policy({}),
  spread: policy({ placement: PlacementPolicy.parse({ strategy: "spread", nodes: "preferred" }), replicas: 3 }),
  racks: policy({
    isAlwaysPlaceable: false,
    placement: PlacementPolicy.parse({ failureDomains: "required" }),
    replicasMax: 3,
  }),
  singleton: policy({ placement: PlacementPolicy.parse({ singleton: "available" }), replicas: 1, replicasMax: 1 }),
  strict: policy({ placement: PlacementPolicy.parse({ singleton: "strict" }), replicas: 1, replicasMax: 1 }),
  "two-regions": policy({ replicas: 4, regions: 2 }),
  labelled: policy({ isAlwaysPlaceable: false, placement: PlacementPolicy.parse({ labels: { disk: "nvme" } }) }),
  ports: policy({ isAlwaysPlaceable: false, placement: PlacementPolicy.parse({ hostPorts: [7_000] }), replicasMax: 3 }),
  away: policy({ isAlwaysPlaceable: false, placement: PlacementPolicy.parse({ awayFrom: ["app-0"] }) }),
};

export const policyOf = (kind: AppKind): AppPolicy => POLICIES[kind];

export function parseKinds(text: string): AppKind[] {
  return text.split(",").map((name) => {
    const kind = APP_KINDS.find((known) => known === name.trim());
    if (!kind) throw new Error(`no kind of app is called ${name}; there are ${APP_KINDS.join()}`);
    return kind;
  });
}
