// The audit as NDJSON, oldest first, at the pace of its reader: one page of it in memory at a time.
import type { TeamId } from "../../../contracts/ids.ts";
import { AUDIT_EXPORT_PAGE } from "../../../core/authorise/limits.ts";
import type { Database } from "../../../db/connect.ts";
import { readAudit, type AuditFilter } from "../../../db/queries/audit.ts";
import { outgoing, type Outgoing } from "./outgoing.ts";

interface Export {
  readonly team: TeamId | null;
  readonly filter: AuditFilter;
  readonly signal: AbortSignal;
  readonly stillAllowed: () => Promise<boolean>;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** Ends at what was there when it got so far. Broken off, it ends with a line that says so, and is to be asked for again. */
export function auditExport(database: Database, wanted: Export): ReadableStream<Uint8Array> {
  const out = outgoing(wanted.signal);
  const work = write(database, wanted, out).catch(() => out.write('{"berth":"broken off: ask again"}\n'));
  wanted.waitUntil(work.finally(() => out.close()));
  return out.readable;
}

async function write(database: Database, { team, filter, stillAllowed }: Export, out: Outgoing): Promise<void> {
  let after: string | null = null;
  for (;;) {
    const page = await readAudit(database, team, { ...filter, after, limit: AUDIT_EXPORT_PAGE });
    if (!(await stillAllowed())) throw new Error("no longer allowed");
    for (const entry of page) if (!(await out.write(`${JSON.stringify(entry)}\n`))) return;
    after = page.at(-1)?.id ?? null;
    if (page.length < AUDIT_EXPORT_PAGE) return;
  }
}
