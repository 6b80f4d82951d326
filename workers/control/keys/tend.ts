// What the cron does about keys: KV has what Postgres says, a sweep that was begun goes on, and keys that are too old are told of.
import { isOld } from "../../../core/key-rules.ts";
import { alarmKey } from "../../../db/queries/platform-keys.ts";
import { databaseOf } from "../http/database.ts";
import type { KeyedEnv } from "./keyed.ts";
import { keyRows, publishKeys } from "./publish.ts";
import { continueSweep } from "./sweep.ts";
import { tellOfKey } from "./tell.ts";

const ALARM_AGAIN_MS = 30 * 86_400_000;

export async function tendKeys(env: KeyedEnv): Promise<void> {
  await publishKeys(env.given);
  await continueSweep(env);
  const nowMs = Date.now();
  for (const { kind, version, state, activatedAtMs, createdAtMs, alarmedAtMs } of await keyRows(env.given)) {
    const sinceMs = activatedAtMs ?? createdAtMs;
    if (state !== "current" || !isOld(kind, sinceMs, nowMs)) continue;
    // Once a month for as long as it lasts.
    if (alarmedAtMs !== null && nowMs - alarmedAtMs < ALARM_AGAIN_MS) continue;
    console.warn(JSON.stringify({ at: "keys", alarm: "key_old", kind, version, sinceMs }));
    await alarmKey(databaseOf(env), kind, version);
    await tellOfKey(env, { type: "key.old", kind, version, actor: "system", data: { sinceMs } });
  }
}
