// What a Durable Object's shell does, in virtual time: apply row changes, keep the alarm, run effects; restart between steps.
import type { At, Decision, RowChange } from "../../core/step.ts";
import { LOST_REPLY, type LostReply, type Network } from "./network.ts";
import type { World } from "./world.ts";

export type AnyStep<Tables, Volatile, Event, Effect> = (
  durable: { readonly [Table in keyof Tables]: ReadonlyMap<string, Tables[Table]> },
  volatile: Volatile,
  event: Event,
  at: At,
) => Decision<Tables, Volatile, Effect, unknown>;

export interface ObjectSetup<Tables, Volatile, Event, Effect> {
  readonly world: World;
  readonly network: Network;
  readonly name: string;
  readonly tableNames: readonly (keyof Tables & string)[];
  readonly step: AnyStep<Tables, Volatile, Event, Effect>;
  readonly empty: (nowMs: number) => Volatile;
  readonly run: (effect: Effect, report: (event: Event) => void) => void;
  /** Its sockets are gone with it. */
  readonly restarted?: () => void;
}

/** Every so many rows one goes through JSON, as all do in truth: what does not survive that may not be relied on. */
const THROUGH_JSON_EVERY = 8;

const TICKS_AT_ONCE_MAX = 50;

export class ObjectHost<
  Tables extends object,
  Volatile,
  Event extends { kind: string },
  Effect extends { kind: string },
> {
  readonly tables: { [Table in keyof Tables]: Map<string, Tables[Table]> };
  readonly name: string;
  lastEvent = "";
  rowsWritten = 0;
  private volatile: Volatile;
  /** Effects and answers of an older life of the object are lost. */
  private life = 0;
  private alarmAtMs: number | null = null;
  private alarmOrder = 0;
  /** Where it runs now, the time is a little another. */
  private clockOffsetMs = 0;
  private tickedAtMs = 0;
  private ticksNow = 0;
  /** It asks to be woken at once, again and again, and does nothing then. */
  isRestless = false;
  private readonly setup: ObjectSetup<Tables, Volatile, Event, Effect>;

  constructor(setup: ObjectSetup<Tables, Volatile, Event, Effect>) {
    this.setup = setup;
    this.name = setup.name;
    this.volatile = setup.empty(setup.world.nowMs);
    this.tables = Object.fromEntries(setup.tableNames.map((name) => [name, new Map()])) as typeof this.tables;
  }

  /** One event, one transaction. A restart may come before it, between the commit and the effects, or before the reply. */
  take(event: Event): unknown {
    const { world, network } = this.setup;
    const { restart } = network.rates;
    if (world.chance(restart)) this.restart();
    this.lastEvent = event.kind;
    const at = { nowMs: world.nowMs + this.clockOffsetMs, seed: world.hexSeed() };
    const decision = this.setup.step(this.tables, this.volatile, event, at);
    for (const change of decision.rowChanges) this.apply(change);
    this.volatile = decision.volatile;
    this.arm(decision.wakeAtMs);
    if (world.chance(restart)) {
      this.restart();
      if (decision.effects.length > 0) world.happened("effects lost");
      if (decision.rowChanges.some(({ table }) => table === "route"))
        world.happened("restarted before its route was told");
      if (!("input" in event)) return LOST_REPLY;
      world.happened("reply lost");
      return LOST_REPLY;
    }
    for (const effect of decision.effects) this.follow(effect);
    return decision.reply;
  }

  /** As a caller who must have an answer: what was lost is asked again. For those who are no party of the simulation. */
  ask(event: Event): unknown {
    for (;;) {
      const reply = this.take(event);
      if (reply !== LOST_REPLY) return reply;
    }
  }

  private follow(effect: Effect): void {
    const { life } = this;
    this.setup.run(effect, (outcome) => {
      if (life === this.life) this.take(outcome);
      else this.setup.world.happened("outcome lost");
    });
  }

  private restart(): void {
    const { world, empty, restarted, network } = this.setup;
    this.life += 1;
    if (world.chance(network.rates.skew)) {
      world.happened("object moved to another clock");
      this.clockOffsetMs = world.between(-200, 200);
    }
    this.volatile = empty(world.nowMs + this.clockOffsetMs);
    world.happened("object restarted");
    world.note(`${this.name} restarts`);
    restarted?.();
  }

  private apply(change: RowChange<Tables>): void {
    this.rowsWritten += 1;
    const table = this.tables[change.table] as Map<string, unknown>;
    if (change.kind === "delete") return void table.delete(change.key);
    const { value } = change;
    table.set(change.key, this.rowsWritten % THROUGH_JSON_EVERY === 0 ? JSON.parse(JSON.stringify(value)) : value);
  }

  /** The alarm may lag; one that was armed for another time comes to nothing. */
  private arm(wakeAtMs: number | null): void {
    if (wakeAtMs === this.alarmAtMs) return;
    const { world, network } = this.setup;
    this.alarmAtMs = wakeAtMs;
    if (wakeAtMs === null) return;
    const order = (this.alarmOrder += 1);
    let lagMs = 0;
    if (world.chance(network.rates.alarmLag)) {
      world.happened("alarm lagged");
      lagMs = world.between(300, 8_000);
    }
    world.after(wakeAtMs - this.clockOffsetMs - world.nowMs + lagMs, () => {
      if (this.alarmOrder !== order || this.alarmAtMs === null) return;
      this.alarmAtMs = null;
      this.ticksNow = this.tickedAtMs === world.nowMs ? this.ticksNow + 1 : 1;
      this.tickedAtMs = world.nowMs;
      if (this.ticksNow > TICKS_AT_ONCE_MAX) return void (this.isRestless = true);
      this.take({ kind: "tick" } as unknown as Event);
    });
  }
}

export type Reply<Value> = Value | LostReply;
