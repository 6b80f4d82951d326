// Plans which under-used nodes of a cell could be emptied onto the others in use, and what that would gain. Pure; prints itself.
import type { Rebalance, RebalanceStep } from "../../contracts/api.ts";
import type { Refusal } from "../../contracts/failures.ts";
import type { AppId, NodeId } from "../../contracts/ids.ts";
import type { Limits } from "../limits.ts";
import type { Occupied, ReserveSlot } from "../messages.ts";
import { RESOURCE_NAMES } from "../placement/constraints.ts";
import { shunnedBy, shunsOf } from "../placement/neighbours.ts";
import { subtract } from "../placement/resources.ts";
import { createPool } from "../placement/pool.ts";
import { awayFromKey, type PlacementNode, type Pool } from "../placement/types.ts";
import { append } from "./node-news.ts";
import { nameOf } from "./residents.ts";
import type { CellInstanceRow } from "./types.ts";

export interface ConsolidationInput {
  /** All nodes of the cell that were not removed. */
  readonly nodes: readonly PlacementNode[];
  readonly names: ReadonlyMap<NodeId, string>;
  /** Every instance of the cell, in any state. */
  readonly rows: readonly CellInstanceRow[];
  /** Nodes with reservations in flight. */
  readonly reserved: ReadonlySet<NodeId>;
}

export type ConsolidationPlan = Omit<Rebalance, "executing">;

interface Work {
  readonly input: ConsolidationInput;
  readonly limits: Limits;
  readonly onNode: ReadonlyMap<NodeId, CellInstanceRow[]>;
  readonly occupied: Map<AppId, Occupied[]>;
  readonly pool: Pool;
  readonly steps: RebalanceStep[];
  readonly freed: NodeId[];
  /** Nodes that something is to move to: moving that on again would gain nothing. */
  readonly receiving: Set<NodeId>;
  triesLeft: number;
}

/**
 * Empties the least used node first, onto nodes that are in use and stay so; nothing ever moves to an empty one. A node is
 * emptied wholly or not at all.
 */
export function planConsolidation(input: ConsolidationInput, seed: string, limits: Limits): ConsolidationPlan {
  const onNode = new Map<NodeId, CellInstanceRow[]>();
  for (const row of input.rows) append(onNode, row.node, row);
  const inUse = input.nodes.filter((node) => onNode.has(node.id) || input.reserved.has(node.id));
  const open = inUse.filter((node) => node.closed === null);
  const work: Work = {
    input,
    limits,
    onNode,
    occupied: occupiedByApp(input),
    pool: createPool(open, seed),
    steps: [],
    freed: [],
    receiving: new Set(),
    triesLeft: limits.rebalanceTriesMax,
  };
  let reason: string | null = null;
  for (const node of [...open].sort((a, b) => shareOf([a]) - shareOf([b]) || (a.id < b.id ? -1 : 1))) {
    if (work.receiving.has(node.id)) continue;
    const stays = tryToEmpty(work, node);
    reason ??= stays && `${input.names.get(node.id)} (${percentOf([node])} % reserved) cannot be emptied: ${stays}.`;
  }
  const after = inUse.filter((node) => !work.freed.includes(node.id));
  return {
    steps: work.steps,
    freed: work.freed.map((node) => ({ node, name: input.names.get(node) ?? node })),
    nodesUsedBefore: inUse.length,
    nodesUsedAfter: after.length,
    utilisationBeforePercent: percentOf(inUse),
    utilisationAfterPercent: percentOf(after.map((node) => work.pool.get(node.id) ?? node)),
    reason: work.steps.length > 0 ? null : (reason ?? nothingToDo(open.length)),
  };
}

const nothingToDo = (open: number): string =>
  open === 0 ? "No node that takes placements holds anything." : "Only one node that takes placements holds anything.";

/** Adds the steps, or says why not and leaves everything as it was. */
function tryToEmpty(work: Work, node: PlacementNode): string | null {
  const rows = work.onNode.get(node.id) ?? [];
  const stays = reasonToStay(work, node, rows);
  if (stays) return stays;
  work.pool.remove(node.id);
  const touched = new Map<NodeId, PlacementNode>();
  const moves: { row: CellInstanceRow; to: NodeId; failureDomain: string }[] = [];
  let refused: string | null = null;
  for (const row of [...rows].sort((a, b) => b.desired.resources.cpuMilli - a.desired.resources.cpuMilli)) {
    work.triesLeft -= 1;
    const occupied = work.occupied.get(row.desired.app) ?? [];
    const request = { slots: [slotOf(row)], occupied, team: row.desired.team, appName: row.desired.appName };
    const { placements, refusals } = work.pool.place(request);
    const target = placements[0] && work.pool.get(placements[0].node);
    if (!target) {
      refused = `${nameOf(row)} fits on no other node in use (${inWords(refusals[0]?.refusal)})`;
      break;
    }
    if (!touched.has(target.id)) touched.set(target.id, target);
    work.pool.update(withRow(target, row));
    moves.push({ row, to: target.id, failureDomain: target.failureDomain });
    work.occupied.set(row.desired.app, movedTo(occupied, row, target));
  }
  if (refused) {
    for (const before of touched.values()) work.pool.update(before);
    for (const { row } of moves) {
      const { app } = row.desired;
      work.occupied.set(app, movedTo(work.occupied.get(app) ?? [], row, node));
    }
    work.pool.update(node);
    return refused;
  }
  for (const { row, to } of moves) work.steps.push(stepOf(work.input, row, to));
  for (const { to } of moves) work.receiving.add(to);
  work.freed.push(node.id);
  return null;
}

function reasonToStay({ input, steps, limits, triesLeft, pool }: Work, node: PlacementNode, rows: CellInstanceRow[]) {
  if (pool.nodesTotal < 2) return "no other node in use takes placements";
  if (input.reserved.has(node.id)) return "something is just being placed on it";
  const leaving = rows.find(({ state, desired }) => state.kind === "gone" || desired.intent === "drain");
  if (leaving) return `${nameOf(leaving)} is on its way out`;
  const singleton = rows.find(({ desired }) => desired.singleton !== null && desired.singleton !== undefined);
  if (singleton) return `moving ${nameOf(singleton)} would interrupt it`;
  if (steps.length + rows.length > limits.rebalanceStepsMax)
    return `one plan has at most ${limits.rebalanceStepsMax} moves`;
  return triesLeft < rows.length ? "enough was tried for one plan" : null;
}

/** What the instance was reserved as, but not where it is. */
function slotOf({ desired, node, wants }: CellInstanceRow): ReserveSlot {
  const { instance, generation, ordinal, resources, source, runtimeClass } = desired;
  const runtimes = wants?.runtimes ?? (source.kind === "image" ? ["docker"] : ["docker", "process"]);
  const { placement, image } = wants ?? {};
  return {
    instance,
    generation,
    ordinal,
    resources,
    runtimes,
    image,
    avoid: [node],
    ...(placement ? { placement } : {}),
    ...(runtimeClass ? { runtimeClass } : {}),
  };
}

function occupiedByApp({ nodes, rows }: ConsolidationInput): Map<AppId, Occupied[]> {
  const domains = new Map(nodes.map((node) => [node.id, node.failureDomain]));
  const occupied = new Map<AppId, Occupied[]>();
  for (const { desired, state, node } of rows) {
    if (state.kind !== "desired" || desired.intent !== "run") continue;
    append(occupied, desired.app, { failureDomain: domains.get(node) ?? "", node, ordinal: desired.ordinal });
  }
  return occupied;
}

function movedTo(occupied: readonly Occupied[], { desired }: CellInstanceRow, to: PlacementNode): Occupied[] {
  const others = occupied.filter(({ ordinal }) => ordinal !== desired.ordinal);
  return [...others, { failureDomain: to.failureDomain, node: to.id, ordinal: desired.ordinal }];
}

function withRow(node: PlacementNode, { desired, wants }: CellInstanceRow): PlacementNode {
  const key = awayFromKey(desired.team, desired.appName);
  const shunned = shunnedBy(shunsOf(key, wants?.placement), node.shunned);
  return {
    ...node,
    free: subtract(node.free, desired.resources),
    hostPorts: [...node.hostPorts, ...(desired.hostPorts ?? [])],
    apps: new Set([...node.apps, key]),
    ...(shunned ? { shunned } : {}),
  };
}

const stepOf = ({ names }: ConsolidationInput, { desired, node }: CellInstanceRow, to: NodeId): RebalanceStep => ({
  instance: desired.instance,
  app: desired.app,
  appName: desired.appName,
  from: node,
  fromName: names.get(node) ?? node,
  to,
  toName: names.get(to) ?? to,
});

/** Of the scarcest resource: what is reserved of all that these nodes have. */
function shareOf(nodes: readonly PlacementNode[]): number {
  const shares = RESOURCE_NAMES.map((name) => {
    let capacity = 0;
    let free = 0;
    for (const node of nodes) {
      capacity += node.capacity[name];
      free += node.free[name];
    }
    return capacity === 0 ? 0 : (capacity - free) / capacity;
  });
  return Math.max(...shares);
}

const percentOf = (nodes: readonly PlacementNode[]): number => Math.round(shareOf(nodes) * 1_000) / 10;

function inWords(refusal: Refusal | undefined): string {
  const parts = refusal?.constraints.map(({ constraint, missing }) =>
    missing === null ? constraint : `${constraint}: ${missing} missing`,
  );
  return parts && parts.length > 0 ? parts.join(", ") : "no room";
}
