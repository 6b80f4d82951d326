// What the Cell's rows say by node, by app and by time: kept in step with every write, so that no step reads a whole table.
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import type { AppId, InstanceId, NodeId } from "../../contracts/ids.ts";
import { pushDue, type DueHeap } from "../heap.ts";
import { shunsOf } from "../placement/neighbours.ts";
import { awayFromKey, type PlacementNode, type Pool } from "../placement/types.ts";
import type { Durable } from "../step.ts";
import type { AnswerRow, AppLinkRow, CellInstanceRow, CellTables, NodeRow, ReservationRow } from "./tables.ts";

/** Everything that holds room on one node. */
export interface OnNode {
  /** In any state, in the order in which they came. */
  readonly instances: Map<InstanceId, CellInstanceRow>;
  readonly reservations: Map<InstanceId, ReservationRow>;
  /** The sum of their resources. */
  held: NodeCapacity;
  /** How often each app (awayFromKey), and each host port, is among them. */
  readonly apps: Map<string, number>;
  /** And whom each of them stays away from (shunsOf). */
  readonly shuns: Map<string, number>;
  readonly hostPorts: Map<number, number>;
  /** Rises with every write. */
  version: number;
}

/** What the pool was last told of a node, and from what that was made. */
export interface Pooled {
  readonly row: NodeRow;
  readonly on: OnNode | undefined;
  readonly version: number;
  readonly images: readonly string[];
  readonly node: PlacementNode;
}

/**
 * Follows from the durable rows alone (holdingsOf makes it anew). Steps write it through their draft, in place: a step whose
 * rows were not stored leaves it ahead of them, which the next step sees by the version, or by the counts where rows were
 * changed by other means, and makes it anew.
 */
export interface Holdings {
  /** Rises with every write. */
  version: number;
  instances: number;
  reservations: number;
  answers: number;
  apps: number;
  readonly onNode: Map<NodeId, OnNode>;
  /** The instances of an app in this cell, in any state. */
  readonly ofApp: Map<AppId, Map<InstanceId, CellInstanceRow>>;
  /** Apps that have not acknowledged every message written to them. */
  readonly waiting: Set<AppId>;
  /** Reservations and answers by their end. An entry that is no longer meant is passed over when its time comes. */
  readonly reservationEnds: DueHeap;
  readonly answerEnds: DueHeap;
  /** For placement; brought up to date when something is to be placed. null: nothing was yet. */
  pool: Pool | null;
  readonly pooled: Map<NodeId, Pooled>;
}

/** What a step's volatile remembers of the holdings. */
export interface KeptHoldings {
  readonly holdings: Holdings;
  readonly version: number;
}

export const NOTHING: NodeCapacity = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 };

export function add(a: NodeCapacity, b: NodeCapacity): NodeCapacity {
  return {
    cpuMilli: a.cpuMilli + b.cpuMilli,
    memoryBytes: a.memoryBytes + b.memoryBytes,
    diskBytes: a.diskBytes + b.diskBytes,
    pids: a.pids + b.pids,
  };
}

/** O(1) while nothing went past it; O(rows) after a restart of the object, or a step that could not be stored. */
export function holdingsOf(durable: Durable<CellTables>, kept: KeptHoldings | null): Holdings {
  if (kept !== null && kept.version === kept.holdings.version && isOfSize(kept.holdings, durable)) return kept.holdings;
  const holdings: Holdings = {
    version: 0,
    instances: 0,
    reservations: 0,
    answers: 0,
    apps: 0,
    onNode: new Map(),
    ofApp: new Map(),
    waiting: new Set(),
    reservationEnds: [],
    answerEnds: [],
    pool: null,
    pooled: new Map(),
  };
  for (const table of ["instances", "reservations", "answers", "apps"] as const) {
    for (const [key, row] of durable[table]) keep(holdings, table, key, undefined, row);
  }
  return holdings;
}

function isOfSize(holdings: Holdings, { instances, reservations, answers, apps }: Durable<CellTables>): boolean {
  return (
    holdings.instances === instances.size &&
    holdings.reservations === reservations.size &&
    holdings.answers === answers.size &&
    holdings.apps === apps.size
  );
}

/** One write. Tables that nothing is kept of are passed over. */
export function keep<Table extends keyof CellTables>(
  holdings: Holdings,
  table: Table,
  key: string,
  before: CellTables[Table] | undefined,
  after: CellTables[Table] | undefined,
): void {
  const change = Number(after !== undefined) - Number(before !== undefined);
  switch (table) {
    case "instances":
      keepInstance(holdings, before as CellInstanceRow | undefined, after as CellInstanceRow | undefined);
      holdings.instances += change;
      break;
    case "reservations":
      keepReservation(holdings, key, before as ReservationRow | undefined, after as ReservationRow | undefined);
      holdings.reservations += change;
      break;
    case "answers":
      if (after !== undefined) pushDue(holdings.answerEnds, { atMs: (after as AnswerRow).untilMs, key });
      holdings.answers += change;
      break;
    case "apps":
      keepLink(holdings, key, after as AppLinkRow | undefined);
      holdings.apps += change;
      break;
    default:
      return;
  }
  holdings.version += 1;
}

function keepInstance(
  holdings: Holdings,
  before: CellInstanceRow | undefined,
  after: CellInstanceRow | undefined,
): void {
  const { instance, app } = (after ?? before)!.desired;
  // A changed row keeps its place in the lists.
  const moved = before?.node !== after?.node || before?.desired.resources !== after?.desired.resources;
  if (before !== undefined && moved) {
    if (before.node !== after?.node) onNode(holdings, before.node).instances.delete(instance);
    take(holdings, before.node, -1, heldBy(before));
  }
  if (after === undefined) {
    const others = holdings.ofApp.get(app);
    others?.delete(instance);
    if (others?.size === 0) holdings.ofApp.delete(app);
    return;
  }
  onNode(holdings, after.node).instances.set(instance, after);
  if (moved) take(holdings, after.node, 1, heldBy(after));
  const others = holdings.ofApp.get(app);
  if (others) others.set(instance, after);
  else holdings.ofApp.set(app, new Map([[instance, after]]));
}

const heldBy = ({ desired, wants }: CellInstanceRow): Held => {
  const { resources, hostPorts, team, appName } = desired;
  return { resources, hostPorts, awayKey: awayFromKey(team, appName), wants };
};

function keepReservation(
  holdings: Holdings,
  key: string,
  before: ReservationRow | undefined,
  after: ReservationRow | undefined,
): void {
  const instance = key as InstanceId;
  if (before !== undefined) {
    onNode(holdings, before.node).reservations.delete(instance);
    take(holdings, before.node, -1, before);
  }
  if (after === undefined) return;
  onNode(holdings, after.node).reservations.set(instance, after);
  take(holdings, after.node, 1, after);
  pushDue(holdings.reservationEnds, { atMs: after.untilMs, key });
}

function keepLink(holdings: Holdings, key: string, after: AppLinkRow | undefined): void {
  const app = key as AppId;
  if (after !== undefined && after.outSeq > after.ackedSeq) holdings.waiting.add(app);
  else holdings.waiting.delete(app);
}

function onNode(holdings: Holdings, node: NodeId): OnNode {
  const known = holdings.onNode.get(node);
  if (known) return known;
  const made: OnNode = {
    instances: new Map(),
    reservations: new Map(),
    held: NOTHING,
    apps: new Map(),
    shuns: new Map(),
    hostPorts: new Map(),
    version: 0,
  };
  holdings.onNode.set(node, made);
  return made;
}

/** What bears on others that might come to the node. */
type Held = Pick<ReservationRow, "resources" | "hostPorts" | "awayKey" | "wants">;

/**
 * Adds (1) or takes away (-1) what one row holds; a node that nothing is on is forgotten. Amounts are whole numbers far below
 * 2^53, so that nothing is lost by subtracting. Rows of older runs name no ports and no app.
 */
function take(
  holdings: Holdings,
  node: NodeId,
  sign: 1 | -1,
  { resources: { cpuMilli, memoryBytes, diskBytes, pids }, hostPorts, awayKey, wants }: Held,
): void {
  const there = onNode(holdings, node);
  there.version += 1;
  there.held = add(there.held, {
    cpuMilli: sign * cpuMilli,
    memoryBytes: sign * memoryBytes,
    diskBytes: sign * diskBytes,
    pids: sign * pids,
  });
  for (const port of hostPorts ?? []) count(there.hostPorts, port, sign);
  if (awayKey) count(there.apps, awayKey, sign);
  for (const shun of shunsOf(awayKey, wants?.placement)) count(there.shuns, shun, sign);
  if (there.instances.size === 0 && there.reservations.size === 0) holdings.onNode.delete(node);
}

function count<Key>(counts: Map<Key, number>, key: Key, by: 1 | -1): void {
  const now = (counts.get(key) ?? 0) + by;
  if (now === 0) counts.delete(key);
  else counts.set(key, now);
}
