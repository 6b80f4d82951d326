// What a Durable Object's shell does, in virtual time: apply row changes, keep the alarm, run effects; restart between steps.
import type { Decision, At, RowChange } from "../../core/step.ts";
import type { World } from "./world.ts";

export type AnyStep<Tables, Volatile, Event, Effect> = (
  durable: { readonly [Table in keyof Tables]: ReadonlyMap<string, Tables[Table]> },
  volatile: Volatile,
  event: Event,
  at: At,
) => Decision<Tables, Volatile, Effect, unknown>;

export class ObjectHost<
  Tables extends object,
  Volatile,
  Event extends { kind: string },
  Effect extends { kind: string },
> {
  readonly tables: { [Table in keyof Tables]: Map<string, Tables[Table]> };
  lastEvent = "";
  rowsWritten = 0;
  private volatile: Volatile;
  /** Effects and answers of an older life of the object are lost. */
  private life = 0;
  private alarmAtMs: number | null = null;
  private readonly world: World;
  private readonly name: string;
  private readonly step: AnyStep<Tables, Volatile, Event, Effect>;
  private readonly empty: (nowMs: number) => Volatile;
  private readonly run: (effect: Effect, report: (event: Event) => void) => void;

  constructor(setup: {
    world: World;
    name: string;
    tableNames: readonly (keyof Tables & string)[];
    step: AnyStep<Tables, Volatile, Event, Effect>;
    empty: (nowMs: number) => Volatile;
    run: (effect: Effect, report: (event: Event) => void) => void;
  }) {
    this.world = setup.world;
    this.name = setup.name;
    this.step = setup.step;
    this.empty = setup.empty;
    this.run = setup.run;
    this.volatile = setup.empty(setup.world.nowMs);
    this.tables = Object.fromEntries(setup.tableNames.map((name) => [name, new Map()])) as typeof this.tables;
  }

  memory(): Volatile {
    return this.volatile;
  }

  /** One event, one transaction; the reply leaves before or after a restart, or never. */
  take(event: Event): unknown {
    const { world } = this;
    if (world.chance(world.faults.restart)) this.restart();
    this.lastEvent = event.kind;
    const decision = this.step(this.tables, this.volatile, event, { nowMs: world.nowMs, seed: world.hexSeed() });
    for (const change of decision.rowChanges) this.apply(change);
    this.volatile = decision.volatile;
    this.arm(decision.wakeAtMs);
    const { life } = this;
    if (world.chance(world.faults.restart)) {
      this.restart();
      if (decision.effects.length > 0) world.happened("effects lost");
      return decision.reply;
    }
    for (const effect of decision.effects) {
      this.run(effect, (outcome) => {
        if (life === this.life) this.take(outcome);
        else world.happened("outcome lost");
      });
    }
    return decision.reply;
  }

  restart(): void {
    this.life += 1;
    this.volatile = this.empty(this.world.nowMs);
    this.world.happened("object restarted");
    this.world.note(`${this.name} restarts`);
  }

  private apply(change: RowChange<Tables>): void {
    this.rowsWritten += 1;
    const table = this.tables[change.table] as Map<string, unknown>;
    // Through JSON, as a row goes: what does not survive it may not be relied on.
    if (change.kind === "put") table.set(change.key, JSON.parse(JSON.stringify(change.value)));
    else table.delete(change.key);
  }

  private arm(wakeAtMs: number | null): void {
    this.alarmAtMs = wakeAtMs;
    if (wakeAtMs === null) return;
    this.world.after(wakeAtMs - this.world.nowMs, () => {
      if (this.alarmAtMs !== wakeAtMs) return;
      this.alarmAtMs = null;
      this.take({ kind: "tick" } as unknown as Event);
    });
  }
}
