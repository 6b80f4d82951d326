// The platform's keys: their versions and states, what nodes said of theirs, and how far re-wrapping has come. The operator's.
import { and, asc, desc, eq, isNull, ne, sql } from "drizzle-orm";
import type { KeyKind } from "../../contracts/keys.ts";
import type { NodeId } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { keySweeps, nodeKeys, platformKeys } from "../schema/keys.ts";
import { nodes } from "../schema/nodes.ts";

export type KeyRow = typeof platformKeys.$inferSelect;
export type SweepRow = typeof keySweeps.$inferSelect;

const OPERATOR = { kind: "operator" } as const;
const ofKey = (kind: KeyKind, version: string) => and(eq(platformKeys.kind, kind), eq(platformKeys.version, version));

export async function listKeyRows(db: Database): Promise<KeyRow[]> {
  return db.run(OPERATOR, (statements) =>
    statements.select().from(platformKeys).orderBy(asc(platformKeys.kind), asc(platformKeys.createdAtMs)),
  );
}

type NewKey = Pick<KeyRow, "kind" | "version" | "state"> & Partial<KeyRow>;

/** Those that the Workers were given and that were not known yet. Never changes one. */
export async function adoptKeys(db: Database, keys: readonly NewKey[]): Promise<void> {
  if (keys.length === 0) return;
  await db.run(OPERATOR, (statements) =>
    statements
      .insert(platformKeys)
      .values([...keys])
      .onConflictDoNothing(),
  );
}

/** false: there is that version already. */
export async function prepareKey(db: Database, key: NewKey): Promise<boolean> {
  const inserted = await db.run(OPERATOR, (statements) =>
    statements.insert(platformKeys).values(key).onConflictDoNothing().returning({ version: platformKeys.version }),
  );
  return inserted.length > 0;
}

/** In one transaction: the one that was in use is replaced, the prepared one is in use. false: it was not prepared any more. */
export async function activateKey(db: Database, kind: KeyKind, version: string): Promise<boolean> {
  const nowMs = Date.now();
  const prepared = sql`exists (select 1 from ${platformKeys} where kind = ${kind} and version = ${version} and state = 'prepared')`;
  const [, activated] = await db.runAll(OPERATOR, (statements) => [
    statements
      .update(platformKeys)
      .set({ state: "replaced", replacedAtMs: nowMs })
      .where(and(eq(platformKeys.kind, kind), eq(platformKeys.state, "current"), prepared)),
    statements
      .update(platformKeys)
      .set({ state: "current", activatedAtMs: nowMs })
      .where(and(ofKey(kind, version), eq(platformKeys.state, "prepared")))
      .returning({ version: platformKeys.version }),
  ]);
  return activated.length > 0;
}

/** Its material goes with it. */
export async function retireKey(db: Database, kind: KeyKind, version: string): Promise<void> {
  await db.run(OPERATOR, (statements) =>
    statements
      .update(platformKeys)
      // Second factors were stored by a session secret: it opens them for good.
      .set({ state: "retired", retiredAtMs: Date.now(), ...(kind === "session" ? {} : { sealed: null }) })
      .where(and(ofKey(kind, version), ne(platformKeys.state, "current"), ne(platformKeys.state, "retired"))),
  );
}

export async function alarmKey(db: Database, kind: KeyKind, version: string): Promise<void> {
  await db.run(OPERATOR, (statements) =>
    statements.update(platformKeys).set({ alarmedAtMs: Date.now() }).where(ofKey(kind, version)),
  );
}

/** Wrapped anew; only where it is still what was read. */
export async function rewrapKeyRow(db: Database, row: KeyRow, sealed: string): Promise<void> {
  await db.run(OPERATOR, (statements) =>
    statements
      .update(platformKeys)
      .set({ sealed })
      .where(and(ofKey(row.kind, row.version), eq(platformKeys.sealed, row.sealed ?? ""))),
  );
}

export async function recordNodeKeys(
  db: Database,
  told: { readonly node: NodeId; readonly ticket: readonly string[]; readonly credential: string },
): Promise<void> {
  const set = { ticket: told.ticket, credential: told.credential, toldAtMs: Date.now() };
  await db.run(OPERATOR, (statements) =>
    statements
      .insert(nodeKeys)
      .values({ node: told.node, ...set })
      .onConflictDoUpdate({ target: nodeKeys.node, set }),
  );
}

/** Every node that was not removed, with what it said; null: nothing yet. */
export async function nodesWithKeys(db: Database): Promise<
  {
    node: NodeId;
    name: string;
    ticket: readonly string[] | null;
    credential: string | null;
  }[]
> {
  return db.run(OPERATOR, (statements) =>
    statements
      .select({ node: nodes.id, name: nodes.name, ticket: nodeKeys.ticket, credential: nodeKeys.credential })
      .from(nodes)
      .leftJoin(nodeKeys, eq(nodeKeys.node, nodes.id))
      .where(isNull(nodes.revokedAtMs))
      .orderBy(asc(nodes.name)),
  );
}

export async function newestSweep(db: Database): Promise<SweepRow | null> {
  const [row] = await db.run(OPERATOR, (statements) =>
    statements.select().from(keySweeps).orderBy(desc(keySweeps.startedAtMs)).limit(1),
  );
  return row ?? null;
}

/** Begins, or begins anew. */
export async function beginSweep(db: Database, version: string, stage: string): Promise<SweepRow> {
  const fresh = { stage, cursor: "", seen: 0, rewrapped: 0, failed: 0, firstFailure: null, endedAtMs: null };
  const set = { ...fresh, startedAtMs: Date.now() };
  const [row] = await db.run(OPERATOR, (statements) =>
    statements
      .insert(keySweeps)
      .values({ version, ...set })
      .onConflictDoUpdate({ target: keySweeps.version, set })
      .returning(),
  );
  return row!;
}

export async function saveSweep(db: Database, row: SweepRow): Promise<void> {
  await db.run(OPERATOR, (statements) =>
    statements.update(keySweeps).set(row).where(eq(keySweeps.version, row.version)),
  );
}
