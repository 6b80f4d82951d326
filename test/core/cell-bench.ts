// A cell on the bench with nodes and instances on it, and its Apps' side of the talk.
import type { DesiredInstance } from "../../contracts/desired.ts";
import type { AppId, InstanceId, ReleaseId, TeamId } from "../../contracts/ids.ts";
import { PlacementPolicy } from "../../contracts/release.ts";
import type { Result } from "../../contracts/failures.ts";
import type { Node } from "../../contracts/api.ts";
import type { Limits } from "../../core/limits.ts";
import type { CellToApp, ReserveAnswer, ReserveSlot, UpdateRequest } from "../../core/messages.ts";
import { BenchCell, idFor, insId, nodeId, spec, value } from "./bench-object.ts";

export const TEAM = idFor<TeamId>("team", 1);
export const appId = (n: number): AppId => idFor<AppId>("app", n);
export const OPERATOR = "user:op";

export interface Wanted {
  readonly app?: number;
  readonly cpuMilli?: number;
  readonly singleton?: "available" | "strict";
  readonly policy?: Record<string, unknown>;
  readonly ordinal?: number;
  readonly job?: boolean;
  /** Nodes it must not come to. */
  readonly avoid?: readonly number[];
}

/** Ready nodes 0, 1, … with 1,000 mCPU each, a rack each. */
export function cellOf(count: number, limits: Partial<Limits> = {}): BenchCell {
  const cell = new BenchCell(limits);
  for (let n = 0; n < count; n += 1) {
    value(cell.enrol(n));
    value(cell.beat(n));
  }
  return cell;
}

export function slotOf(n: number, want: Wanted = {}): ReserveSlot {
  const placement = PlacementPolicy.parse({ ...want.policy, singleton: want.singleton });
  const { resources } = spec({ resources: { cpuMilli: want.cpuMilli ?? 100 } });
  const avoid = (want.avoid ?? []).map(nodeId);
  return {
    instance: insId(n),
    generation: 1,
    ordinal: want.ordinal ?? n,
    resources,
    runtimes: ["docker"],
    placement,
    avoid,
    ...(want.job ? { job: true } : {}),
  };
}

export function desiredOf(n: number, want: Wanted = {}): DesiredInstance {
  const { instance, generation, ordinal, resources, placement } = slotOf(n, want);
  return {
    instance,
    generation,
    app: appId(want.app ?? 1),
    appName: `app-${want.app ?? 1}`,
    team: TEAM,
    release: idFor<ReleaseId>("rel", 1),
    version: 1,
    ordinal,
    intent: "run",
    source: { kind: "image", reference: "a:1", digest: null },
    port: 8080,
    resources,
    probes: spec().probes,
    stopGraceMs: 1_000,
    readOnlyRoot: false,
    hasEnvironment: false,
    privateImage: false,
    hostPorts: placement?.hostPorts ?? [],
    singleton: want.singleton ?? null,
  };
}

export function reserve(cell: BenchCell, key: string, ns: readonly number[], want: Wanted = {}): ReserveAnswer {
  const app = appId(want.app ?? 1);
  const slots = ns.map((n) => slotOf(n, want));
  const input = { key, app, team: TEAM, appName: `app-${want.app ?? 1}`, leaseMs: 30_000, occupied: [], slots };
  return value(cell.take({ kind: "reserve", input }));
}

const nextSeq = (cell: BenchCell, app: AppId): number => (cell.tables.apps.get(app)?.inSeq ?? 0) + 1;

export function commit(cell: BenchCell, ns: readonly number[], want: Wanted = {}): Result<null> {
  const app = appId(want.app ?? 1);
  const seq = nextSeq(cell, app);
  const instances = ns.map((n) => desiredOf(n, want));
  return cell.take({ kind: "commit", input: { key: `c${seq}`, app, seq, instances, routeVersion: 1 } });
}

/** The number of the node that it came to. */
export function placed(cell: BenchCell, n: number, want: Wanted = {}): number {
  const [placement] = reserve(cell, `k${n}`, [n], want).placements;
  if (!placement) throw new Error(`no room for ${n}`);
  value(commit(cell, [n], want));
  return numberOf(cell, n);
}

/** The node's number that holds instance n. */
export function numberOf(cell: BenchCell, n: number): number {
  const node = cell.tables.instances.get(insId(n))?.node;
  for (let number = 0; number < 64; number += 1) if (nodeId(number) === node) return number;
  throw new Error(`instance ${n} is nowhere`);
}

export function update(cell: BenchCell, more: Partial<UpdateRequest>, app = 1): void {
  const seq = nextSeq(cell, appId(app));
  const request = { key: `u${app}-${seq}`, app: appId(app), seq, drain: [], remove: [], routeVersion: 1, watch: false };
  value(cell.take({ kind: "update", input: { ...request, ...more } }));
}

export const seen = (n: number, status: Record<string, unknown>, app = 1) => ({
  instance: insId(n),
  generation: 1,
  app: appId(app),
  status,
  restarts: 0,
  digest: null,
  sinceMs: 0,
});

/** What Apps were sent since last asked, repetitions aside; all of it is acknowledged. */
export function told(cell: BenchCell): CellToApp[] {
  const messages = new Map<string, CellToApp>();
  for (let batches = cell.drain("deliver_messages"); batches.length > 0; batches = cell.drain("deliver_messages")) {
    for (const batch of batches) {
      for (const message of batch.messages) messages.set(`${batch.app}/${message.seq}`, message);
      cell.take({ kind: "delivered", app: batch.app, ackSeq: batch.messages.at(-1)!.seq });
    }
  }
  return [...messages.values()];
}

export const view = (cell: BenchCell, n: number): Node =>
  value(cell.take({ kind: "readNode", input: { node: nodeId(n) } }));

/** Types of the cell's events so far about a subject, in their order. */
export const eventsOf = (cell: BenchCell, subject: string): string[] =>
  [...cell.tables.events.values()].filter((event) => event.subject === subject).map((event) => event.type);

/** Seconds of silence of all nodes but those that beat; each probe is answered by `answers`. */
export function silence(
  cell: BenchCell,
  seconds: number,
  { beating = [], answers = () => false }: { beating?: readonly number[]; answers?: (n: number) => boolean } = {},
): void {
  for (let half = 0; half < seconds * 2; half += 1) {
    cell.tick(500);
    for (const { node } of cell.drain("probe_gateway")) {
      const n = Array.from({ length: 64 }, (_, number) => number).find((number) => nodeId(number) === node)!;
      cell.take({ kind: "gateway_probed", node, answered: answers(n) });
    }
    if (half % 4 === 3) for (const n of beating) value(cell.beat(n));
  }
}

export const on = (node: number): { node: ReturnType<typeof nodeId>; actor: string } => ({
  node: nodeId(node),
  actor: OPERATOR,
});

/** The node says that it has its newest document, and runs these. */
export const settle = (cell: BenchCell, n: number, running: readonly InstanceId[] = []): void => {
  const observed = running.map((instance) => {
    const { desired } = cell.tables.instances.get(instance)!;
    const { app, generation } = desired;
    return { instance, generation, app, status: { kind: "ready" }, restarts: 0, digest: null, sinceMs: 0 };
  });
  value(cell.beat(n, { observed }));
};
