// The outbox's other end: one SQL transaction takes a batch, in order, once in effect (invariant 14).
import type { BerthEvent } from "../../contracts/events.ts";

export class Postgres {
  isUp = true;
  readonly faults: string[] = [];
  private readonly rows = new Map<string, BerthEvent[]>();

  /** Returns the last seq that it has of this source. */
  accept(source: string, events: readonly BerthEvent[]): number {
    let rows = this.rows.get(source);
    if (!rows) this.rows.set(source, (rows = []));
    for (const event of events) {
      if (event.seq <= rows.length) {
        const kept = rows[event.seq - 1]!;
        if (kept !== event && JSON.stringify(kept) !== JSON.stringify(event)) {
          this.faults.push(`14: ${event.id} changed after Postgres had it`);
        }
      } else if (event.seq === rows.length + 1) rows.push(event);
      else this.faults.push(`14: ${event.id} came before ${rows.length + 1}`);
    }
    return rows.length;
  }
}
