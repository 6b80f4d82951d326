// The rule of placement as a plain scan over all nodes: what the indexed pool is held against.
import type { InstanceId } from "../../contracts/ids.ts";
import { askOf, type Ask } from "../../core/placement/ask.ts";
import { canTake, hasLabels } from "../../core/placement/constraints.ts";
import {
  IMAGE_BONUS,
  domainPenalty,
  memoryUnits,
  scaleOf,
  scarceNodes,
  scoreOf,
  type Scale,
} from "../../core/placement/rank.ts";
import { refusalOf } from "../../core/placement/refusal.ts";
import { subtract } from "../../core/placement/resources.ts";
import type { PlacementDecision, PlacementNode, PlacementRequest } from "../../core/placement/types.ts";
import { rankOf } from "../../core/random.ts";

interface Seen {
  readonly node: PlacementNode;
  free: PlacementNode["free"];
  ports: readonly number[];
}

export function placeByScan(
  nodes: readonly PlacementNode[],
  request: PlacementRequest,
  seed: string,
): PlacementDecision {
  const seen: Seen[] = nodes.map((node) => ({ node, free: node.free, ports: node.hostPorts }));
  const placements: PlacementDecision["placements"][number][] = [];
  const refusals: { instance: InstanceId; refusal: ReturnType<typeof refusalOf> }[] = [];
  const occupied = [...request.occupied];
  for (const slot of request.slots) {
    const ask = askOf(slot, request, occupied);
    const scale = scaleOver(seen, ask);
    const penalties = penaltiesOver(seen, ask, scale);
    const ranked = seen
      .filter(({ node, free, ports }) => canTake(node, free, ports, ask))
      .map((at) => ({ at, rank: rankAt(at, ask, scale, seed, penalties.get(at.node.failureDomain) ?? 0) }))
      .sort((a, b) => compare(a.rank, b.rank));
    const best = ranked[0]?.at;
    if (!best) {
      refusals.push({ instance: slot.instance, refusal: refusalOf(seen, ask) });
      continue;
    }
    best.free = subtract(best.free, slot.resources);
    best.ports = [...best.ports, ...ask.policy.hostPorts];
    occupied.push({ failureDomain: best.node.failureDomain, node: best.node.id, ordinal: slot.ordinal });
    placements.push({ slot, node: best.node.id });
  }
  return { placements, refusals };
}

/** Fewest siblings in the failure domain, fewest on the node, best score (an image there counts a little), chance. */
function rankAt({ node, free }: Seen, ask: Ask, scale: Scale, seed: string, penalty: number): (number | string)[] {
  const { slot } = ask;
  const { cpuMilli, memoryBytes } = slot.resources;
  const score = scoreOf(scale, free.cpuMilli - cpuMilli, free.memoryBytes - memoryBytes);
  const bonus = slot.image && node.images.has(slot.image) ? IMAGE_BONUS : 0;
  const siblings = [ask.inDomain.get(node.failureDomain) ?? 0, ask.onNode.get(node.id) ?? 0];
  return [...siblings, score + penalty - bonus, rankOf(seed, node.id), node.id];
}

function compare(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  for (let index = 0; index < a.length; index += 1) {
    if (a[index]! < b[index]!) return -1;
    if (a[index]! > b[index]!) return 1;
  }
  return 0;
}

function scaleOver(seen: readonly Seen[], { policy }: Ask): Scale {
  const totals = { nodes: 0, cpuFree: 0, cpuCapacity: 0, memoryFree: 0, memoryCapacity: 0 };
  for (const { node, free } of seen) {
    if (node.closed !== null) continue;
    totals.nodes += 1;
    totals.cpuFree += free.cpuMilli;
    totals.cpuCapacity += node.capacity.cpuMilli;
    totals.memoryFree += memoryUnits(free.memoryBytes);
    totals.memoryCapacity += memoryUnits(node.capacity.memoryBytes);
  }
  return scaleOf(policy.strategy, totals);
}

/** Among failure domains with equally many siblings, by the nodes that are of the kind asked for. */
function penaltiesOver(seen: readonly Seen[], ask: Ask, scale: Scale): Map<string, number> {
  const free = new Map<string, { cpuFree: number; memoryFree: number }>();
  for (const { node, free: left } of seen) {
    if (node.closed !== null || !ask.slot.runtimes.includes(node.runtime) || !hasLabels(node, ask)) continue;
    const sum = free.get(node.failureDomain) ?? { cpuFree: 0, memoryFree: 0 };
    sum.cpuFree += left.cpuMilli;
    sum.memoryFree += memoryUnits(left.memoryBytes);
    free.set(node.failureDomain, sum);
  }
  const tierOf = (domain: string): number => ask.inDomain.get(domain) ?? 0;
  return new Map(
    [...free].map(([domain, sum]) => {
      const tier = [...free].filter(([other]) => tierOf(other) === tierOf(domain)).map(([, other]) => other);
      const most = tier.reduce((a, b) => (scarceNodes(scale, b) > scarceNodes(scale, a) ? b : a));
      return [domain, domainPenalty(scale, sum, most)];
    }),
  );
}
