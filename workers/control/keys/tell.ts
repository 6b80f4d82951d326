// Events about keys: Postgres owns the keys, so their events enter it directly; an object's come through its outbox.
import type { EventType } from "../../../contracts/events.ts";
import { appendEvent } from "../../../db/queries/own-events.ts";
import type { ControlEnv } from "../env.ts";
import { databaseOf } from "../http/database.ts";

const SOURCE = "platform:keys";

export interface KeyEvent {
  readonly type: Extract<EventType, `key.${string}`>;
  readonly kind: string;
  readonly version: string;
  readonly actor: string;
  readonly data?: Record<string, unknown>;
}

export async function tellOfKey(env: ControlEnv, { type, kind, version, actor, data = {} }: KeyEvent): Promise<void> {
  const event = { type, subject: `${kind}/${version}`, actor, data: { kind, version, ...data } };
  await appendEvent(databaseOf(env), SOURCE, event);
}
