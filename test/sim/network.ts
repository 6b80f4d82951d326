// Messages between named parties: lost, late, twice, out of order, or cut off in one direction.
import { NO_FAULTS, type FaultRates } from "./faults.ts";
import type { World } from "./world.ts";

/** One direction between two parties. cuts: how many partitions hold it closed at present. */
interface Way {
  cuts: number;
  lastArrivalMs: number;
}

/** What a caller between objects waits at most. */
const CALL_TIMEOUT_MS = 900;

export class Network {
  rates: FaultRates = NO_FAULTS;
  private heals = 0;
  private readonly ways = new Map<string, Map<string, Way>>();
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  /** On its way: it may never come, come twice, or overtake another. */
  send(from: string, to: string, act: () => void): void {
    const { world, rates } = this;
    const way = this.way(from, to);
    if (way.cuts > 0) return world.happened("message cut off");
    if (world.chance(rates.loss)) return world.happened("message lost");
    this.deliver(way, act, 0);
    if (!world.chance(rates.duplication)) return;
    world.happened("message duplicated");
    this.deliver(way, act, world.between(0, 3_000));
  }

  /** A call: one answer, or one failure when either leg is lost or late. */
  call<Reply>(
    { from, to, timeoutMs = CALL_TIMEOUT_MS }: { from: string; to: string; timeoutMs?: number },
    ask: () => Reply | LostReply,
    answered: (reply: Reply) => void,
    failed: () => void,
  ): void {
    let isSettled = false;
    const settle = (act: () => void): void => {
      if (isSettled) return;
      isSettled = true;
      act();
    };
    this.send(from, to, () => {
      const reply = ask();
      if (reply !== LOST_REPLY) this.send(to, from, () => settle(() => answered(reply as Reply)));
    });
    this.world.after(timeoutMs, () => settle(failed));
  }

  /** Until the time is over; cuts of the same way add up. */
  cutFor(ms: number, ways: readonly (readonly [from: string, to: string])[]): void {
    const { heals } = this;
    for (const [from, to] of ways) this.way(from, to).cuts += 1;
    this.world.after(ms, () => {
      if (heals !== this.heals) return;
      for (const [from, to] of ways) this.way(from, to).cuts -= 1;
    });
  }
  /** Every partition ends now. */
  heal(): void {
    this.heals += 1;
    for (const ways of this.ways.values()) for (const way of ways.values()) way.cuts = 0;
  }
  isCut(from: string, to: string): boolean {
    return this.way(from, to).cuts > 0;
  }

  private deliver(way: Way, act: () => void, extraMs: number): void {
    const { world, rates } = this;
    let arrivalMs = world.nowMs + world.between(1, 30) + extraMs;
    if (world.chance(rates.delay)) {
      world.happened("message delayed");
      arrivalMs += world.between(200, 2_500);
    }
    if (arrivalMs < way.lastArrivalMs) {
      if (rates.reordering) world.happened("message reordered");
      else arrivalMs = way.lastArrivalMs;
    }
    way.lastArrivalMs = Math.max(way.lastArrivalMs, arrivalMs);
    world.after(arrivalMs - world.nowMs, act);
  }

  private way(from: string, to: string): Way {
    let ways = this.ways.get(from);
    if (!ways) this.ways.set(from, (ways = new Map()));
    let way = ways.get(to);
    if (!way) ways.set(to, (way = { cuts: 0, lastArrivalMs: 0 }));
    return way;
  }
}

/** The callee fell over after it had done its work: nobody hears what came of it. */
export const LOST_REPLY: unique symbol = Symbol("lost reply");
export type LostReply = typeof LOST_REPLY;
