// The state of all keys, from Postgres, which owns it, to KV, where the Workers read it. As often as one likes: only a change is written.
import type { KeyRow } from "../../../db/queries/platform-keys.ts";
import { adoptKeys, listKeyRows } from "../../../db/queries/platform-keys.ts";
import {
  CONTROL_DOCUMENT,
  ControlDocument,
  EDGE_DOCUMENT,
  sealForEdge,
  type ControlKeys,
} from "../../keys/documents.ts";
import type { ControlEnv } from "../env.ts";
import { databaseOf } from "../http/database.ts";
import { mergedKeys } from "../secrets/keys.ts";
import { seal } from "../secrets/seal.ts";
import { KEYS_PLACE, renewKeyed } from "./keyed.ts";
import { givenKeys, sessionRingOf, signingRingOf } from "./rings.ts";

/** All rows, after those that the Workers were given are among them. */
export async function keyRows(given: ControlEnv): Promise<KeyRow[]> {
  const database = databaseOf(given);
  const rows = await listKeyRows(database);
  const kinds = new Set(rows.map(({ kind }) => kind));
  // Of a kind that has rows, what was given is among them, or was rotated away.
  const missing = givenKeys(given).filter(({ kind }) => !kinds.has(kind));
  if (missing.length === 0) return rows;
  const activatedAtMs = Date.now();
  await adoptKeys(
    database,
    missing.map((row) => ({
      ...row,
      activatedAtMs,
      ...(row.state === "replaced" ? { replacedAtMs: activatedAtMs } : {}),
    })),
  );
  return listKeyRows(database);
}

export async function publishKeys(given: ControlEnv): Promise<void> {
  const rows = await keyRows(given);
  const version = await versionOf(rows);
  const found = ControlDocument.safeParse(await given.ROUTES.get(CONTROL_DOCUMENT, { type: "json", cacheTtl: 30 }));
  if (found.success ? found.data.version === version : rows.every(isAsGiven)) return;
  const kek = rows.find((row) => row.kind === "kek" && row.state === "current")?.version;
  const env = { given, SECRETS_KEYS: mergedKeys(given, kek) };
  const ticket = await signingRingOf("ticket", rows, env);
  const keys: ControlKeys = {
    ...withoutGaps({
      ticket,
      credential: await signingRingOf("credential", rows, env),
      session: await sessionRingOf(rows, env),
      backup: rows.find((row) => row.kind === "backup" && row.state === "current")?.version,
    }),
    moving: rows.some(isMoving),
  };
  // The edge first: what it has is told by nobody else. Without a ring it has what it was given.
  const ring = ticket ?? given.TICKET_SIGNING_KEY;
  const forEdge = { version, sealed: await sealForEdge(given.TICKET_SIGNING_KEY, ring) };
  await given.ROUTES.put(EDGE_DOCUMENT, JSON.stringify(forEdge));
  const sealed = await seal(env.SECRETS_KEYS, KEYS_PLACE, JSON.stringify(keys));
  const document: ControlDocument = { version, kek: kek ?? "", sealed };
  await given.ROUTES.put(CONTROL_DOCUMENT, JSON.stringify(document));
  await renewKeyed(given, document);
}

/** Never rotated: KV need not know. */
const isAsGiven = ({ sealed, state }: KeyRow): boolean => sealed === null && state === "current";

/** Nodes have a part in it: a ticket key that they are to trust, a credential by an older key. */
const isMoving = ({ kind, state }: KeyRow): boolean =>
  (kind === "ticket" && state === "prepared") || (kind === "credential" && state === "replaced");

function withoutGaps<Value extends object>(value: Value): { [Key in keyof Value]?: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;
}

async function versionOf(rows: readonly KeyRow[]): Promise<string> {
  const text = JSON.stringify(rows.map(({ kind, version, state }) => [kind, version, state]));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return [...digest.slice(0, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
