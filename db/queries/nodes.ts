// Which node is in which cell, for the operator's lists and for finding a node's Cell object.
import { and, desc, eq, isNotNull, isNull, lt, sql } from "drizzle-orm";
import type { Result } from "../../contracts/failures.ts";
import { NodeId, type CellName, type RegionName } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { nodes } from "../schema/nodes.ts";
import { insertAudit, type By } from "./audit.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

export interface NodeRecord {
  readonly id: NodeId;
  readonly name: string;
  readonly cell: CellName;
  readonly region: RegionName;
  readonly failureDomain: string;
  readonly jkt: string;
  readonly enrolledBy: string;
  readonly enrolledAtMs: number;
  readonly revokedAtMs: number | null;
  readonly dnsName: string | null;
}

/** After the Cell took the node; the same node again is an update. */
export async function recordNode(
  db: Database,
  node: Omit<NodeRecord, "enrolledAtMs" | "revokedAtMs" | "dnsName">,
): Promise<void> {
  const { name, cell, region, failureDomain } = node;
  await db.run({ kind: "enrol" }, (statements) =>
    statements
      .insert(nodes)
      .values(node)
      .onConflictDoUpdate({ target: nodes.id, set: { name, cell, region, failureDomain } }),
  );
}

/** By id, or by name: the newest of that name that is not removed (removed: else the newest that is). */
export async function findNode(
  db: Database,
  idOrName: string,
  { removed = false }: { removed?: boolean } = {},
): Promise<NodeRecord | null> {
  const id = NodeId.safeParse(idOrName);
  const named = removed ? eq(nodes.name, idOrName) : and(eq(nodes.name, idOrName), isNull(nodes.revokedAtMs));
  const which = id.success ? eq(nodes.id, id.data) : named;
  const [row] = await db.run({ kind: "operator" }, (statements) =>
    statements
      .select()
      .from(nodes)
      .where(which)
      .orderBy(desc(isNull(nodes.revokedAtMs)), desc(nodes.id))
      .limit(1),
  );
  return row ?? null;
}

/** Newest first, without the revoked ones unless asked for. */
export async function listNodes(
  db: Database,
  page: PageRequest & { readonly revoked?: boolean },
): Promise<Result<Page<NodeRecord>>> {
  const cursor = decodeCursor(page.cursor, (key) => NodeId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const before = cursor.value as NodeId | null;
  const rows = await db.run({ kind: "operator" }, (statements) =>
    statements
      .select()
      .from(nodes)
      .where(
        and(page.revoked ? undefined : isNull(nodes.revokedAtMs), before === null ? undefined : lt(nodes.id, before)),
      )
      .orderBy(desc(nodes.id))
      .limit(page.limit + 1),
  );
  return {
    ok: true,
    value: pageOf(
      rows,
      page.limit,
      (row) => row.id,
      (row) => row,
    ),
  };
}

/** Every cell that has ever had a node: what the sweep pokes. */
export async function listCells(db: Database): Promise<CellName[]> {
  const rows = await db.run({ kind: "operator" }, (statements) =>
    statements.selectDistinct({ cell: nodes.cell }).from(nodes).orderBy(nodes.cell),
  );
  return rows.map((row) => row.cell);
}

/** Beside what the Cell did, which is what counts. */
export async function markNodeRevoked(
  db: Database,
  input: By & { node: NodeId; action: "node.revoke" | "node.remove" },
): Promise<void> {
  await db.runAll({ kind: "operator" }, (statements) => [
    statements
      .update(nodes)
      .set({ revokedAtMs: sql`now()` })
      .where(and(eq(nodes.id, input.node), isNull(nodes.revokedAtMs))),
    insertAudit(statements, { ...input, team: null, subject: input.node }),
  ]);
}

/** Before its records are made: who knows of them can have them removed. */
export async function rememberDnsName(db: Database, node: NodeId, dnsName: string): Promise<void> {
  await db.run({ kind: "enrol" }, (statements) => statements.update(nodes).set({ dnsName }).where(eq(nodes.id, node)));
}

export interface NamedNode {
  readonly id: NodeId;
  readonly dnsName: string;
}

/** Removed nodes of which the DNS may still have records, longest removed first. */
export async function namesToForget(db: Database, max: number): Promise<NamedNode[]> {
  const rows = await db.run({ kind: "operator" }, (statements) =>
    statements
      .select({ id: nodes.id, dnsName: nodes.dnsName })
      .from(nodes)
      .where(and(isNotNull(nodes.dnsName), isNotNull(nodes.revokedAtMs)))
      .orderBy(nodes.revokedAtMs)
      .limit(max),
  );
  return rows.flatMap(({ id, dnsName }) => (dnsName === null ? [] : [{ id, dnsName }]));
}

export async function forgetDnsName(db: Database, node: NodeId): Promise<void> {
  await db.run({ kind: "operator" }, (statements) =>
    statements.update(nodes).set({ dnsName: null }).where(eq(nodes.id, node)),
  );
}
