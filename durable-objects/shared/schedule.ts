// What is due when: one row per name; the object's only alarm is armed for the earliest of them.
import { DEFAULT_LIMITS } from "../../core/limits.ts";

/**
 * Names are few and fixed per object. What moves to later, or away, is kept in memory only: the alarm then comes once for
 * nothing, which costs one empty run instead of two written rows at every heartbeat.
 */
export class Schedule {
  readonly #storage: DurableObjectStorage;
  readonly #stored = new Map<string, number>();
  readonly #due = new Map<string, number>();
  #armedAtMs: number | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Call inside start-up, after the migrations. */
  async load(): Promise<void> {
    for (const row of this.#storage.sql.exec("SELECT name, at_ms FROM schedule")) {
      this.#stored.set(String(row["name"]), Number(row["at_ms"]));
      this.#due.set(String(row["name"]), Number(row["at_ms"]));
    }
    this.#armedAtMs = await this.#storage.getAlarm();
  }

  /** null: nothing is due any more. No await: it lands together with the rows written in the same turn. */
  set(name: string, atMs: number | null): void {
    if (atMs === null) {
      this.#due.delete(name);
      return;
    }
    this.#due.set(name, atMs);
    const storedAtMs = this.#stored.get(name);
    if (storedAtMs === undefined || atMs < storedAtMs) this.#store(name, atMs);
  }

  nextAtMs(): number | null {
    return this.#due.size === 0 ? null : Math.min(...this.#due.values());
  }

  /** The platform has just spent the alarm: whatever is due from here on needs a new one. */
  alarmSpent(): void {
    this.#armedAtMs = null;
  }

  /** At the end of an alarm: rows of what is no longer due go, the rest is armed anew. */
  alarmEnded(nowMs: number): void {
    for (const name of this.#stored.keys()) {
      if (this.#due.has(name)) continue;
      this.#stored.delete(name);
      this.#storage.sql.exec("DELETE FROM schedule WHERE name = ?", name);
    }
    this.ensureArmed(nowMs);
  }

  /**
   * On every request and after every commit. An alarm that is missing is set; one that is overdue was lost (the platform
   * gives up after six tries) and is set anew.
   */
  ensureArmed(nowMs: number): void {
    const nextAtMs = this.nextAtMs();
    if (nextAtMs === null) return;
    const armedAtMs = this.#armedAtMs;
    const lost = armedAtMs !== null && armedAtMs < nowMs - DEFAULT_LIMITS.alarmOverdueMs;
    if (armedAtMs !== null && armedAtMs <= nextAtMs && !lost) return;
    this.#armedAtMs = Math.max(nextAtMs, nowMs);
    // Coalesces with the rows of this turn. If it fails the platform resets the object, and start-up reads the schedule.
    void this.#storage.setAlarm(this.#armedAtMs);
    // Whatever is later than its stored row catches up here, where the alarm is written anyway.
    for (const [name, atMs] of this.#due) if (this.#stored.get(name) !== atMs) this.#store(name, atMs);
  }

  #store(name: string, atMs: number): void {
    this.#stored.set(name, atMs);
    this.#storage.sql.exec(
      "INSERT INTO schedule (name, at_ms) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at_ms = excluded.at_ms",
      name,
      atMs,
    );
  }
}
