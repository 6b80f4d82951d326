// The refusal that sums up over many nodes why none of them took a slot.
import type { Refusal } from "../../contracts/failures.ts";
import type { Ask } from "./ask.ts";
import { areNotOffered, couldEver, noteExclusions, requestedOf, wantedOf, type Note } from "./constraints.ts";
import type { ConstraintName, PlacementNode } from "./types.ts";

type Entry = Refusal["constraints"][number];

/** What it looked at: the node, with what is free of it and which ports are held at this moment of the decision. */
export interface Seen {
  readonly node: PlacementNode;
  readonly free: PlacementNode["free"];
  readonly ports: readonly number[];
}

/** Every node refused: each constraint, how many nodes it excluded, and the least that was missing among them. */
export function refusalOf(seen: Iterable<Seen>, ask: Ask): Refusal {
  const tallies = new Map<ConstraintName, { nodesExcluded: number; missing: number | null }>();
  const note: Note = (constraint, missing) => {
    const tally = tallies.get(constraint);
    if (!tally) tallies.set(constraint, { nodesExcluded: 1, missing });
    else {
      tally.nodesExcluded += 1;
      if (missing !== null && tally.missing !== null && missing < tally.missing) tally.missing = missing;
    }
  };
  let nodesTotal = 0;
  let possible = false;
  let notOffering = 0;
  const shunning = new Set<string>();
  for (const { node, free, ports } of seen) {
    const awayBefore = tallies.get("away_from")?.nodesExcluded;
    nodesTotal += 1;
    possible ||= couldEver(node, ask);
    if (areNotOffered(node, ask)) notOffering += 1;
    noteExclusions(node, free, ports, ask, note);
    if (tallies.get("away_from")?.nodesExcluded === awayBefore) continue;
    for (const name of (ask.self && node.shunned?.get(ask.self)) || []) shunning.add(name);
  }
  const merged = new Map<ConstraintName, Entry>();
  for (const [constraint, { nodesExcluded, missing }] of tallies) {
    const wanted = wantedOf(ask, constraint);
    const requested = requestedOf(ask, constraint);
    const detail =
      constraint === "away_from"
        ? keptAway(wanted, shunning)
        : constraint === "ports"
          ? unoffered(wanted, notOffering)
          : {};
    const asked = wanted === null ? {} : { wanted };
    merged.set(constraint, { constraint, nodesExcluded, requested, missing, ...asked, ...detail });
  }
  return { nodesTotal, constraints: inOrder(merged), ...(nodesTotal > 0 && !possible ? { impossible: true } : {}) };
}

/** Whom it stays away from is known to who reads it; who stays away from it is not. */
function keptAway(wanted: string | null, shunning: ReadonlySet<string>): Pick<Entry, "detail"> {
  if (shunning.size === 0) return {};
  const by = `kept away by ${[...shunning].sort().join(", ")}`;
  return { detail: wanted === null ? by : `${wanted}; ${by}` };
}

/** Which ports are held is a matter of time; which ones a node offers is its operator's word. */
function unoffered(wanted: string | null, nodes: number): Pick<Entry, "detail"> {
  return nodes === 0 ? {} : { detail: `${wanted}; ${nodes} of them not offering it to instances` };
}

/** A cell that holds as many instances as it may: its nodes were not looked at one by one. */
export function cellFull(nodesTotal: number): Refusal {
  return {
    nodesTotal,
    constraints: [{ constraint: "cell_full", nodesExcluded: nodesTotal, requested: null, missing: null }],
  };
}

/** No cell was there to be asked: nobody ever enrolled a node in any of these regions. */
export function noSuchRegion(regions: readonly string[]): Refusal {
  const wanted = regions.join(" or ");
  const constraint = { constraint: "region" as const, nodesExcluded: 0, requested: null, missing: null, wanted };
  return { nodesTotal: 0, constraints: [constraint], impossible: true };
}

/** One refusal for several cells that were asked in turn. Impossible only if each of them says so. */
export function mergeRefusals(first: Refusal | null, second: Refusal): Refusal {
  if (!first || first.nodesTotal === 0) return second;
  if (second.nodesTotal === 0) return first;
  const merged = new Map<ConstraintName, Entry>(first.constraints.map((entry) => [entry.constraint, entry]));
  for (const entry of second.constraints) {
    const known = merged.get(entry.constraint);
    merged.set(entry.constraint, {
      ...entry,
      nodesExcluded: (known?.nodesExcluded ?? 0) + entry.nodesExcluded,
      missing: known ? leastOf(known.missing, entry.missing) : entry.missing,
      ...(known?.detail && entry.detail ? { detail: both(known.detail, entry.detail) } : {}),
      ...(known?.detail && !entry.detail ? { detail: known.detail } : {}),
    });
  }
  return {
    nodesTotal: first.nodesTotal + second.nodesTotal,
    constraints: inOrder(merged),
    ...(first.impossible && second.impossible ? { impossible: true } : {}),
  };
}

const both = (a: string, b: string): string => (a === b ? a : `${a}; ${b}`);

/** By nodes excluded, most first, so that the first line of an explanation says the most; equal ones by name. */
const inOrder = (merged: ReadonlyMap<ConstraintName, Entry>): Entry[] =>
  [...merged.values()].sort(
    (a, b) =>
      b.nodesExcluded - a.nodesExcluded || (a.constraint < b.constraint ? -1 : a.constraint > b.constraint ? 1 : 0),
  );

const leastOf = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? null : Math.min(a, b);
