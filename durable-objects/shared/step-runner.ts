// The thin shell around a step: decide, commit in one transaction, arm the alarm, start the effects; all in one turn.
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { At, Decision, Durable } from "../../core/step.ts";
import { messageOf } from "./call.ts";
import { LAYOUT } from "./layout.ts";
import { migrate } from "./migrations.ts";
import { RowTables } from "./row-tables.ts";
import { Schedule } from "./schedule.ts";

/** The one entry of the schedule that steps need: when the object wants its next `tick`. */
const TICK = "tick";

export interface StepRunnerOptions<Tables, Volatile, Event, Effect> {
  readonly state: DurableObjectState;
  readonly tables: readonly (keyof Tables & string)[];
  readonly emptyVolatile: (nowMs: number) => Volatile;
  readonly step: (
    durable: Durable<Tables>,
    volatile: Volatile,
    event: Event,
    at: At,
  ) => Decision<Tables, Volatile, Effect, unknown>;
  /** Runs one effect and returns its outcome as an event, or null where it has none. Starts at once, in parallel. */
  readonly run: (effect: Effect) => Promise<Event | null>;
}

export class StepRunner<
  Tables,
  Volatile,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
> {
  readonly #options: StepRunnerOptions<Tables, Volatile, Event, Effect>;
  readonly #schedule: Schedule;
  #tables: RowTables<Tables> | null = null;
  #volatile: Volatile;

  /** Starting twice is harmless: migrations know what they did, and effects that rows ask for are due at the next step. */
  constructor(options: StepRunnerOptions<Tables, Volatile, Event, Effect>) {
    this.#options = options;
    const { state } = options;
    this.#schedule = new Schedule(state.storage);
    this.#volatile = options.emptyVolatile(Date.now());
    void state.blockConcurrencyWhile(async () => {
      migrate(state.storage, LAYOUT);
      this.#tables = new RowTables<Tables>(state.storage, options.tables);
      await this.#schedule.load();
      // No alarm is set here: this may be the start for the alarm itself, which a new one would cancel and start again.
    });
  }

  get durable(): Durable<Tables> {
    if (this.#tables === null) throw new Error("the object has not started");
    return this.#tables.durable;
  }

  get volatile(): Volatile {
    return this.#volatile;
  }

  /**
   * One event, from decision to the first effects, without an await: either all of its rows and its wake-up are stored, or
   * it throws and nothing has changed. The platform holds answers and calls back until the rows are on disk.
   */
  dispatch(event: Event): unknown {
    const { state, step } = this.#options;
    const nowMs = Date.now();
    try {
      const decision = step(this.durable, this.#volatile, event, { nowMs, seed: seedOf() });
      this.#tables?.apply(decision.rowChanges);
      this.#volatile = decision.volatile;
      this.#schedule.set(TICK, decision.wakeAtMs);
      for (const effect of decision.effects) state.waitUntil(this.#follow(effect));
      return decision.reply;
    } finally {
      // Still the same turn. Also after a step that threw: a lost alarm must not wait for the fault to be mended.
      this.#schedule.ensureArmed(nowMs);
    }
  }

  /**
   * The object's alarm, which may come before anything is due: the step then only says when to come again. Never throws:
   * the platform would try six times and then forget it.
   */
  alarm(tick: Event): void {
    const nowMs = Date.now();
    this.#schedule.alarmSpent();
    // What holds if the step throws; otherwise its own word replaces it.
    this.#schedule.set(TICK, nowMs + DEFAULT_LIMITS.callRetryMs);
    try {
      this.dispatch(tick);
    } catch (error) {
      console.error(JSON.stringify({ at: "alarm", kind: tick.kind, error: messageOf(error) }));
    } finally {
      this.#schedule.alarmEnded(nowMs);
    }
  }

  /** The rows were written by other means: whatever was known of them is forgotten, and the first step is due at once. */
  startAnew(): void {
    const nowMs = Date.now();
    this.#tables?.read();
    this.#volatile = this.#options.emptyVolatile(nowMs);
    this.#schedule.set(TICK, nowMs);
    this.#schedule.ensureArmed(nowMs);
  }

  /** For requests that step nothing. */
  ensureArmed(): void {
    this.#schedule.ensureArmed(Date.now());
  }

  /** An outcome that is lost here is harmless: the row that asked for the effect has it repeated. */
  async #follow(effect: Effect): Promise<void> {
    try {
      const outcome = await this.#options.run(effect);
      if (outcome !== null) this.dispatch(outcome);
    } catch (error) {
      console.error(JSON.stringify({ at: "effect", kind: effect.kind, error: messageOf(error) }));
    }
  }
}

/** 32 random hexadecimal digits. */
function seedOf(): string {
  let seed = "";
  for (const word of crypto.getRandomValues(new Uint32Array(4))) seed += word.toString(16).padStart(8, "0");
  return seed;
}
