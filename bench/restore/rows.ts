// Every row of a platform, as something to compare by: of Postgres a digest of each, of objects each row of each.
import { createHash } from "node:crypto";
import { OBJECTS_PER_DUMP_MAX, type ObjectPage, type ObjectRef } from "../../contracts/backup.ts";
import { openDump } from "../../db/copy/dump.ts";
import { dumpPages, type Platform } from "./fill.ts";

/** By table, how often each digest is there. */
export type Rows = ReadonlyMap<string, ReadonlyMap<string, number>>;

export async function rowsOf(adminUrl: string): Promise<Rows> {
  const dump = await openDump(adminUrl);
  const tables = new Map<string, Map<string, number>>();
  try {
    for (const table of dump.tables) {
      const digests = new Map<string, number>();
      for await (const lines of dump.rows(table)) {
        for (const line of lines) {
          // How far each source has come is raised, and checked by what follows on it: a gap would stop the sink.
          const [source] = table.name === "outbox_sources" ? (JSON.parse(line) as string[]) : [];
          const digest = source ?? createHash("sha256").update(line).digest("base64");
          digests.set(digest, (digests.get(digest) ?? 0) + 1);
        }
      }
      tables.set(table.name, digests);
    }
    return tables;
  } finally {
    await dump.close();
  }
}

/** Of each table, how many rows of `before` are not in `after`, and how many are only there. */
export function compareRows(before: Rows, after: Rows): Record<string, { missing: number; more: number }> {
  const tables: Record<string, { missing: number; more: number }> = {};
  for (const [table, digests] of before) {
    const others = after.get(table) ?? new Map<string, number>();
    const missing = lacking(digests, others);
    const more = lacking(others, digests);
    if (missing + more > 0) tables[table] = { missing, more };
  }
  return tables;
}

function lacking(from: ReadonlyMap<string, number>, within: ReadonlyMap<string, number>): number {
  let count = 0;
  for (const [digest, times] of from) count += Math.max(0, times - (within.get(digest) ?? 0));
  return count;
}

export const countOf = (rows: Rows): number =>
  [...rows.values()].reduce((sum, digests) => [...digests.values()].reduce((all, times) => all + times, sum), 0);

/** By object, its rows by table and key. */
export type Objects = ReadonlyMap<string, ReadonlyMap<string, string>>;

export async function objectsOf(platform: Platform, refs: readonly ObjectRef[]): Promise<Objects> {
  const objects = new Map<string, Map<string, string>>();
  for (let from = 0; from < refs.length; from += OBJECTS_PER_DUMP_MAX) {
    for (const page of await dumpPages(platform, refs.slice(from, from + OBJECTS_PER_DUMP_MAX))) addPage(objects, page);
  }
  return objects;
}

function addPage(objects: Map<string, Map<string, string>>, { kind, name, text }: ObjectPage): void {
  const rows = objects.get(`${kind} ${name}`) ?? new Map<string, string>();
  objects.set(`${kind} ${name}`, rows);
  for (const line of text.split("\n").filter((each) => each !== "")) {
    const [table, key, value] = JSON.parse(line) as [string, string, unknown];
    rows.set(`${table} ${key}`, JSON.stringify(value));
  }
}

/** What a restore raises the numbers of, and what an App asks anew of others. */
const RAISED = /^(app|counters|slots|route|cells|instances) /;
const ASKED_ANEW = /^(calls|events|health|regions) /;

export interface Compared {
  readonly rows: number;
  readonly missing: number;
  /** Otherwise though nothing raises them, or with a number that is lower. */
  readonly changed: number;
}

export function compareObjects(before: Objects, after: Objects): Compared {
  const found = { rows: 0, missing: 0, changed: 0 };
  for (const [object, rows] of before) {
    for (const [row, value] of rows) {
      if (ASKED_ANEW.test(row)) continue;
      const now = after.get(object)?.get(row);
      found.rows += 1;
      if (now === undefined) found.missing += 1;
      else if (RAISED.test(row) ? lowered(JSON.parse(value), JSON.parse(now)) : now !== value) found.changed += 1;
    }
  }
  return found;
}

/** What was published, and told to whom, is begun anew. */
const BEGUN_ANEW = new Set(["publishedVersion", "publishedAtMs", "routeVersionTold", "routeToldAtMs"]);

function lowered(before: unknown, after: unknown): boolean {
  if (typeof before === "number") return typeof after !== "number" || after < before;
  if (typeof before !== "object" || before === null) return false;
  if (typeof after !== "object" || after === null) return false;
  const now = after as Record<string, unknown>;
  return Object.entries(before).some(
    ([name, value]) => !BEGUN_ANEW.has(name) && name in now && lowered(value, now[name]),
  );
}
