// Nodes and slots of placement's tests: plain ones to vary, and arbitrary ones that collide a lot.
import fc from "fast-check";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import { PlacementPolicy } from "../../contracts/release.ts";
import type { ReserveSlot } from "../../core/messages.ts";
import { createPool } from "../../core/placement/pool.ts";
import { NONE, type PlacementDecision, type PlacementNode, type PlacementRequest } from "../../core/placement/types.ts";

/** One decision over these nodes alone. */
export const place = (nodes: readonly PlacementNode[], request: PlacementRequest, seed: string): PlacementDecision =>
  createPool(nodes, seed).place(request);

export const HEX = "0123456789abcdef0123456789abcdef";
const MEMORY = 1_048_576;
export const roomOf = (cpuMilli: number, memory = 1_000, more: { diskBytes?: number; pids?: number } = {}) => ({
  cpuMilli,
  memoryBytes: memory * MEMORY,
  diskBytes: 1_000 * MEMORY,
  pids: 1_000,
  ...more,
});
export const nodeOf = (
  name: string,
  failureDomain: string,
  cpuMilli = 1_000,
  more: Partial<PlacementNode> = {},
): PlacementNode => ({
  id: `node_${name}` as NodeId,
  failureDomain,
  runtime: "docker",
  labels: {},
  closed: null,
  capacity: roomOf(1_000),
  free: roomOf(cpuMilli),
  hostPorts: [],
  apps: NONE,
  images: NONE,
  ...more,
});
export const slotOf = (ordinal: number, cpuMilli = 100, more: Partial<ReserveSlot> = {}): ReserveSlot => ({
  instance: `ins_${ordinal}` as InstanceId,
  generation: 1,
  ordinal,
  resources: { cpuMilli, memoryBytes: 10 * MEMORY, diskBytes: 10, pids: 1 },
  runtimes: ["docker"],
  ...more,
});
export const slotsOf = (count: number, cpuMilli = 100, more: Partial<ReserveSlot> = {}) =>
  Array.from({ length: count }, (_, ordinal) => slotOf(ordinal, cpuMilli, more));
export const policyOf = (more: Record<string, unknown>): PlacementPolicy => PlacementPolicy.parse(more);

// ---- arbitrary ones: few values, so that ties, piles and conflicts are common ----

const domains = fc.constantFrom("r1", "r2", "r3");
const level = fc.integer({ min: 0, max: 8 });
const someOf = <Value>(...values: Value[]) => fc.subarray(values);

export const anyNode: fc.Arbitrary<PlacementNode> = fc
  .record({
    name: fc.nat(9_999),
    domain: domains,
    runtime: fc.constantFrom("docker" as const, "docker" as const, "process" as const),
    labels: fc.constantFrom<Record<string, string>>({}, {}, { disk: "nvme" }, { disk: "nvme", gpu: "a100" }),
    closed: fc.constantFrom(null, null, null, null, "not_ready" as const, "cordoned" as const, "draining" as const),
    capacity: fc.constantFrom(roomOf(1_000), roomOf(1_000), roomOf(2_000, 1_500)),
    cpu: level,
    memory: level,
    disk: level,
    pids: level,
    hostPorts: someOf(80, 443),
    apps: someOf("t/db", "t/cache"),
    shunned: fc.constantFrom(undefined, undefined, undefined, new Map([["t/web", ["db"]]]), new Map([["t/x", ["db"]]])),
    images: someOf("sha256:a", "sha256:b"),
    classes: fc.constantFrom(undefined, undefined, "runsc", "kata runsc"),
  })
  .map(({ name, domain, cpu, memory, disk, pids, apps, shunned, images, capacity, classes, ...rest }) => ({
    ...nodeOf(String(name), domain),
    ...rest,
    ...(shunned ? { shunned } : {}),
    ...(classes ? { classes } : {}),
    capacity,
    free: {
      cpuMilli: Math.floor((capacity.cpuMilli * cpu) / 8),
      memoryBytes: Math.floor((capacity.memoryBytes * memory) / 8),
      diskBytes: disk * 125 * MEMORY,
      pids: pids * 125,
    },
    apps: new Set(apps),
    images: new Set(images),
  }));
export const anyNodes = (maxLength: number): fc.Arbitrary<PlacementNode[]> =>
  fc.uniqueArray(anyNode, { maxLength, selector: (entry) => entry.id });

const anyPolicy = fc.record({
  strategy: fc.constantFrom("pack" as const, "pack" as const, "spread" as const),
  failureDomains: fc.constantFrom("preferred" as const, "preferred" as const, "required" as const),
  nodes: fc.constantFrom("preferred" as const, "required" as const),
  labels: fc.constantFrom<Record<string, string>>({}, {}, {}, { disk: "nvme" }, { disk: "hdd" }),
  awayFrom: fc.constantFrom<string[]>([], [], ["db"]),
  hostPorts: fc.constantFrom<number[]>([], [], [80]),
});
export const anySlots = (nodes: readonly PlacementNode[], maxLength = 8): fc.Arbitrary<ReserveSlot[]> =>
  fc
    .array(
      fc.record({
        cpu: fc.integer({ min: 1, max: 700 }),
        memory: fc.integer({ min: 1, max: 700 }),
        disk: fc.integer({ min: 0, max: 600_000_000 }),
        pids: fc.integer({ min: 1, max: 500 }),
        placement: fc.option(anyPolicy),
        image: fc.constantFrom(null, "sha256:a", "sha256:c"),
        avoid: fc.subarray(
          nodes.map(({ id }) => id),
          { maxLength: Math.min(2, nodes.length) },
        ),
        runtimes: fc.constantFrom(["docker" as const], ["docker" as const, "process" as const]),
        runtimeClass: fc.constantFrom(undefined, undefined, undefined, "runc" as const, "runsc" as const),
      }),
      { maxLength },
    )
    .map((slots) =>
      slots.map(({ cpu, memory, disk, pids, placement, runtimeClass, ...rest }, ordinal) => ({
        ...slotOf(ordinal),
        ...rest,
        ...(runtimeClass ? { runtimeClass } : {}),
        ...(placement === null ? {} : { placement }),
        resources: { cpuMilli: cpu, memoryBytes: memory * MEMORY, diskBytes: disk, pids },
      })),
    );
