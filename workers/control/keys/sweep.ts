// Wrapping anew: everything that lies sealed, a batch at a time, under the key-encryption key of now. Goes on where it stopped; serves on.
import type { AppId } from "../../../contracts/ids.ts";
import type { KeySweep } from "../../../contracts/keys.ts";
import type { Database } from "../../../db/connect.ts";
import { beginSweep, newestSweep, rewrapKeyRow, saveSweep, type SweepRow } from "../../../db/queries/platform-keys.ts";
import * as rows from "../../../db/queries/sealed-rows.ts";
import { rewrapSingleSignOn, singleSignOnsAfter } from "../../../db/queries/sign-in-policies.ts";
import { authDatabase } from "../auth/databases.ts";
import { ask, inBatches } from "../http/ask.ts";
import { databaseOf } from "../http/database.ts";
import { unwrap } from "../http/respond.ts";
import { secretKeys } from "../secrets/keys.ts";
import type { SecretPlace } from "../secrets/place.ts";
import { rewrap } from "../secrets/seal.ts";
import type { KeyedEnv } from "./keyed.ts";
import { keyRows } from "./publish.ts";
import { placeOf } from "./rings.ts";

/** Of one call: within a Worker's 1,000 subrequests, and a second or two. */
const APPS_AT_ONCE = 50;
const ROWS_AT_ONCE = 200;
const WIDTH = 8;

const STAGES = ["platform", "apps", "registries", "history", "answers", "sign_ons", "done"] as const;
type Stage = (typeof STAGES)[number];

/** What one batch did; next null: the stage is done. */
interface Batch {
  readonly seen: number;
  readonly rewrapped: number;
  readonly failures: readonly string[];
  readonly next: string | null;
}

/** One batch. Whoever calls at the same time does the same again, which changes nothing. again: from the start. */
export async function sweepKeys(env: KeyedEnv, again: boolean): Promise<KeySweep> {
  const database = databaseOf(env);
  const { current } = secretKeys(env.SECRETS_KEYS);
  const newest = await newestSweep(database);
  const isOn = newest !== null && newest.version === current && !again;
  const row = isOn ? newest : await beginSweep(database, current, STAGES[0]);
  if (row.endedAtMs !== null) return shown(row);
  const batch = await work(env, database, row.stage as Stage, row.cursor);
  const after = advanced(row, batch);
  await saveSweep(database, after);
  return shown(after);
}

/** For the cron: goes on with what somebody began, and begins nothing. */
export async function continueSweep(env: KeyedEnv): Promise<void> {
  const newest = await newestSweep(databaseOf(env));
  if (newest !== null && newest.endedAtMs === null) await sweepKeys(env, false);
}

function advanced(row: SweepRow, { seen, rewrapped, failures, next }: Batch): SweepRow {
  const stage = next === null ? STAGES[STAGES.indexOf(row.stage as Stage) + 1]! : row.stage;
  return {
    ...row,
    stage,
    cursor: next ?? "",
    seen: row.seen + seen,
    rewrapped: row.rewrapped + rewrapped,
    failed: row.failed + failures.length,
    firstFailure: row.firstFailure ?? failures[0] ?? null,
    endedAtMs: stage === "done" ? Date.now() : null,
  };
}

export const shown = ({ cursor: _cursor, ...row }: SweepRow): KeySweep => row;

function work(env: KeyedEnv, database: Database, stage: Stage, cursor: string): Promise<Batch> {
  switch (stage) {
    case "platform":
      return platformKeys(env, database);
    case "apps":
      return apps(env, database, cursor);
    case "registries":
      return rowsOf(env, database, cursor, { read: rows.registriesAfter, write: rows.rewrapRegistry });
    case "history":
      return rowsOf(env, database, cursor, {
        read: rows.environmentVersionsAfter,
        write: rows.rewrapEnvironmentVersion,
      });
    case "answers":
      return rowsOf(env, database, cursor, { read: rows.keptAnswersAfter, write: rows.rewrapKeptAnswer });
    case "sign_ons":
      return rowsOf(env, authDatabase(env), cursor, { read: singleSignOnsAfter, write: rewrapSingleSignOn });
    case "done":
      return Promise.resolve({ seen: 0, rewrapped: 0, failures: [], next: null });
  }
}

interface Table {
  readonly read: (db: Database, cursor: string, limit: number) => Promise<rows.SealedRow[]>;
  readonly write: (db: Database, row: rows.SealedRow, fresh: string) => Promise<void>;
}

async function rowsOf(env: KeyedEnv, database: Database, cursor: string, { read, write }: Table): Promise<Batch> {
  const found = await read(database, cursor, ROWS_AT_ONCE);
  const failures: string[] = [];
  const done = await inBatches(found, WIDTH, async (row) => {
    const fresh = await tried(env, row, row.sealed, failures);
    if (fresh !== null) await write(database, row, fresh);
    return fresh !== null;
  });
  const next = found.length < ROWS_AT_ONCE ? null : (found.at(-1)?.cursor ?? null);
  return { seen: found.length, rewrapped: done.filter(Boolean).length, failures, next };
}

async function platformKeys(env: KeyedEnv, database: Database): Promise<Batch> {
  const sealed = (await keyRows(env.given)).filter((row) => row.sealed !== null);
  const failures: string[] = [];
  let rewrapped = 0;
  for (const row of sealed) {
    const fresh = await tried(env, placeOf(row.kind, row.version), row.sealed ?? "", failures);
    if (fresh === null) continue;
    await rewrapKeyRow(database, row, fresh);
    rewrapped += 1;
  }
  return { seen: sealed.length, rewrapped, failures, next: null };
}

async function apps(env: KeyedEnv, database: Database, cursor: string): Promise<Batch> {
  const found = await rows.appsAfter(database, cursor, APPS_AT_ONCE);
  const batches = await inBatches(found, WIDTH, ({ id }) => app(env, id));
  const sum = (key: "seen" | "rewrapped") => batches.reduce((total, batch) => total + batch[key], 0);
  return {
    ...{ seen: sum("seen"), rewrapped: sum("rewrapped"), failures: batches.flatMap(({ failures }) => failures) },
    next: found.length < APPS_AT_ONCE ? null : (found.at(-1)?.id ?? null),
  };
}

async function app(env: KeyedEnv, id: AppId): Promise<Omit<Batch, "next">> {
  const failures: string[] = [];
  let [seen, rewrapped] = [0, 0];
  for (let after: string | null = null; ;) {
    const asked: { after: string | null } = { after };
    const answer = await ask(() => env.APP.getByName(id).readSealed(asked), { repeatable: true });
    // Named in Postgres and never created: it holds nothing.
    if (!answer.ok && answer.failure.code === "not_found") return { seen, rewrapped, failures };
    const page = unwrap(answer);
    const fresh = await inBatches(page.items, WIDTH, async (item) => {
      const place = { team: page.team, scope: page.app, name: item.name };
      const text = await tried(env, place, item.sealed, failures);
      return text === null ? [] : [{ ...item, fresh: text }];
    });
    const items = fresh.flat();
    if (items.length > 0) {
      const { changed } = unwrap(await ask(() => env.APP.getByName(id).rewrap({ items }), { repeatable: true }));
      rewrapped += changed;
    }
    seen += page.items.length;
    if (page.after === null) return { seen, rewrapped, failures };
    after = page.after;
  }
}

/** null: nothing to do, or it does not open, which is noted by its place and never by what it holds. */
async function tried(env: KeyedEnv, place: SecretPlace, sealed: string, failures: string[]): Promise<string | null> {
  try {
    return await rewrap(env.SECRETS_KEYS, place, sealed);
  } catch {
    failures.push(`${place.scope} ${place.name} of ${place.team}`.slice(0, 200));
    return null;
  }
}
