// Events of what Postgres itself owns: the next number of their source and the row in one statement.
import { sql } from "drizzle-orm";
import type { EventType } from "../../contracts/events.ts";
import type { Database } from "../connect.ts";

export interface OwnEvent {
  readonly type: EventType;
  readonly subject: string;
  readonly actor: string;
  readonly data: Record<string, unknown>;
}

/** Of the installation: no team's. */
export async function appendEvent(db: Database, source: string, event: OwnEvent): Promise<void> {
  const { type, subject, actor, data } = event;
  await db.runAll({ kind: "sink" }, (statements) => [
    statements.execute(sql`insert into outbox_sources (source, last_seq) values (${source}, 0) on conflict do nothing`),
    statements.execute(sql`
      with raised as (
        update outbox_sources set last_seq = last_seq + 1, updated_at = now() where source = ${source} returning last_seq)
      insert into events (source, seq, type, version, subject, actor, data, at)
      select ${source}, last_seq, ${type}, 1, ${subject}, ${actor}, ${JSON.stringify(data)}::jsonb, now() from raised`),
  ]);
}
