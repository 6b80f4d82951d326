// Instances on nodes, placed as an App would have them.
import { expect } from "vitest";
import type { DesiredInstance } from "../../contracts/desired.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import { PlacementPolicy, Probes, Resources } from "../../contracts/release.ts";
import type { FleetNode } from "./fleet.ts";
import { APP_B, TEAM_A } from "./ids.ts";

export const instanceId = (n: number) => `ins_01jzzzzzzze0a0000000001${String(n).padStart(3, "0")}` as InstanceId;

/** The n-th of app B, but for what is said otherwise. */
export const desiredOf = (n: number, over: Partial<DesiredInstance> = {}): DesiredInstance => ({
  instance: instanceId(n),
  generation: 1,
  app: APP_B,
  appName: "shop",
  team: TEAM_A,
  release: "rel_01jzzzzzzze0a0000000000001" as never,
  version: 1,
  ordinal: n,
  intent: "run",
  source: { kind: "image", reference: "registry.example.test/shop:v1", digest: null },
  port: 8080,
  resources: Resources.parse({}),
  probes: Probes.parse({}),
  stopGraceMs: 1_000,
  readOnlyRoot: false,
  hasEnvironment: false,
  privateImage: false,
  hostPorts: [],
  singleton: null,
  ...over,
});

export function reserve(node: FleetNode, n: number, leaseMs = 30_000) {
  const slot = {
    instance: instanceId(n),
    generation: 1,
    ordinal: n,
    resources: Resources.parse({}),
    runtimes: ["docker" as const],
    placement: PlacementPolicy.parse({}),
  };
  return node.stub.reserve({ key: `reserve-${n}`, app: APP_B, leaseMs, occupied: [], slots: [slot] });
}

export async function place(node: FleetNode, n: number, singleton: DesiredInstance["singleton"] = null): Promise<void> {
  expect(await reserve(node, n)).toMatchObject({ ok: true, value: { refused: [] } });
  const instances = [desiredOf(n, { singleton })];
  const commit = { key: `commit-${n}`, app: APP_B, seq: n, instances, routeVersion: 0 };
  expect(await node.stub.commit(commit)).toEqual({ ok: true, value: null });
}
