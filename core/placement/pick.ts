// One slot's node: the failure domains with the fewest siblings first, there the nodes with the fewest, there the best score.
import {
  areNotOffered,
  arePortsTaken,
  canTake,
  hasLabels,
  isAgentTooOld,
  isAwayFromAny,
  lacksClass,
} from "./constraints.ts";
import type { Ask } from "./ask.ts";
import type { Group } from "./groups.ts";
import { comesBefore, type Seat } from "./piles.ts";
import type { PoolState } from "./seats.ts";
import { IMAGE_BONUS, domainPenalty, scaleOf, scarceNodes, scoreOf, type DomainFree, type Scale } from "./rank.ts";
import { searchGroup, type Search } from "./search.ts";

export function pick(state: PoolState, ask: Ask): Seat | null {
  const preferred = ask.slot.prefer && state.seats.get(ask.slot.prefer);
  if (preferred?.group && fits(preferred, ask)) return preferred;
  const groups = groupsFor(state, ask);
  if (ask.inDomain.size === 0) return pickIn(state, ask, groups);
  const siblings = (group: Group): number => ask.inDomain.get(group.failureDomain) ?? 0;
  const tiers = [...new Set(groups.map(siblings))].sort((a, b) => a - b);
  for (const tier of tiers) {
    if (tier > 0 && ask.policy.failureDomains === "required") break;
    const seat = pickIn(
      state,
      ask,
      groups.filter((group) => siblings(group) === tier),
    );
    if (seat) return seat;
  }
  return null;
}

/** All of them in most cases, and then no other list is made. */
function groupsFor({ groupList }: PoolState, ask: Ask): readonly Group[] {
  for (const group of groupList) if (!suits(group, ask)) return groupList.filter((other) => suits(other, ask));
  return groupList;
}

const suits = (group: Group, ask: Ask): boolean => ask.slot.runtimes.includes(group.runtime) && hasLabels(group, ask);

/** Among groups whose domains are equally good. */
function pickIn(state: PoolState, ask: Ask, groups: readonly Group[]): Seat | null {
  const search = searchFor(state, ask);
  const penalties = groups.length > 1 ? penaltiesOf(search.scale, groups) : null;
  for (const group of groups) {
    search.penalty = penalties?.get(group.failureDomain) ?? 0;
    searchGroup(search, group);
  }
  const { image } = ask.slot;
  if (image) preferImage(state, ask, groups, search, image, penalties);
  if (search.seat || ask.onNode.size === 0 || ask.policy.nodes === "required") return search.seat;
  return pickAmongSiblings(state, ask, groups, penalties);
}

type Penalties = ReadonlyMap<string, number>;

/** By failure domain; null where there is but one. */
function penaltiesOf(scale: Scale, groups: readonly Group[]): Penalties | null {
  const free = new Map<string, DomainFree>();
  for (const { failureDomain, cpuFree, memoryFree } of groups) {
    const sum = free.get(failureDomain);
    if (sum) {
      sum.cpuFree += cpuFree;
      sum.memoryFree += memoryFree;
    } else free.set(failureDomain, { cpuFree, memoryFree });
  }
  if (free.size < 2) return null;
  let most: DomainFree | null = null;
  for (const sum of free.values()) if (!most || scarceNodes(scale, sum) > scarceNodes(scale, most)) most = sum;
  return new Map([...free].map(([domain, sum]) => [domain, domainPenalty(scale, sum, most!)]));
}

function searchFor(state: PoolState, ask: Ask): Search {
  const { cpuMilli, memoryBytes, diskBytes, pids } = ask.slot.resources;
  const { onNode, avoid, awayFrom, policy } = ask;
  const welcome = ask.self === null || !state.shunned.has(ask.self);
  const plain = !ask.newAgent && ask.runtimeClass === null;
  const free = welcome && plain && onNode.size + avoid.size + awayFrom.length === 0;
  const { search } = state;
  search.scale = scaleOf(policy.strategy, state.measure, search.scale);
  search.cpu = cpuMilli;
  search.memory = memoryBytes;
  search.disk = diskBytes;
  search.pids = pids;
  search.allows = free ? null : allowedBy(ask);
  search.penalty = 0;
  search.score = Infinity;
  search.seat = null;
  return search;
}

const allowedBy =
  (ask: Ask) =>
  (seat: Seat): boolean =>
    !ask.onNode.has(seat.node.id) && allows(seat, ask);

/** What the index knows nothing of: constraints on single nodes. */
function allows({ node, ports }: Seat, ask: Ask): boolean {
  if (ask.avoid.has(node.id) || isAgentTooOld(node, ask) || lacksClass(node, ask)) return false;
  return !arePortsTaken(ports, ask) && !areNotOffered(node, ask) && !isAwayFromAny(node, ask);
}

/** Near equals: a node that has the image wins against one that would be left a little less. */
function preferImage(
  { byImage }: PoolState,
  ask: Ask,
  groups: readonly Group[],
  search: Search,
  image: string,
  penalties: Penalties | null,
): void {
  if (!search.seat || search.seat.node.images.has(image)) return;
  let best: Seat | null = null;
  let bestScore = search.score;
  for (const seat of byImage.get(image) ?? []) {
    if (!groups.includes(seat.group!) || ask.onNode.has(seat.node.id) || !fits(seat, ask)) continue;
    const penalty = penalties?.get(seat.node.failureDomain) ?? 0;
    const score = scoreAt(seat, ask, search.scale) + penalty - IMAGE_BONUS;
    if (score > bestScore || (score === bestScore && !comesBefore(seat, best ?? search.seat))) continue;
    bestScore = score;
    best = seat;
  }
  if (best) search.seat = best;
}

/** No other room: the nodes where siblings are, those with the fewest first. */
function pickAmongSiblings(
  { seats, measure }: PoolState,
  ask: Ask,
  groups: readonly Group[],
  penalties: Penalties | null,
): Seat | null {
  const scale = scaleOf(ask.policy.strategy, measure);
  let best: { seat: Seat; count: number; score: number } | null = null;
  for (const [id, count] of ask.onNode) {
    const seat = seats.get(id);
    if (!seat?.group || !groups.includes(seat.group) || !fits(seat, ask)) continue;
    const bonus = ask.slot.image && seat.node.images.has(ask.slot.image) ? IMAGE_BONUS : 0;
    const penalty = penalties?.get(seat.node.failureDomain) ?? 0;
    const score = scoreAt(seat, ask, scale) + penalty - bonus;
    const order = best ? count - best.count || score - best.score : -1;
    if (order < 0 || (order === 0 && comesBefore(seat, best!.seat))) best = { seat, count, score };
  }
  return best?.seat ?? null;
}

function fits({ node, cpu, memory, disk, pids, ports }: Seat, ask: Ask): boolean {
  return canTake(node, { cpuMilli: cpu, memoryBytes: memory, diskBytes: disk, pids }, ports, ask);
}

const scoreAt = ({ cpu, memory }: Seat, { slot: { resources } }: Ask, scale: Scale): number =>
  scoreOf(scale, cpu - resources.cpuMilli, memory - resources.memoryBytes);
