// A Region's rows as they go into an empty platform: which node is in which cell. Agent upgrades go on where they were, snapshots above.
import { RESTORE_SKIP } from "../../contracts/backup.ts";
import type { CopyRow } from "./types.ts";

/** What cells last said, and events that Postgres has by now. */
const DROPPED: ReadonlySet<string> = new Set(["cells", "upgradeEvents"]);

export function restoredRegion(rows: readonly CopyRow[], eventSeq: number): CopyRow[] {
  return rows.filter(({ table }) => !DROPPED.has(table)).map((row) => ({ ...row, value: restoredRow(row, eventSeq) }));
}

function restoredRow({ table, value }: CopyRow, eventSeq: number): unknown {
  if (table === "upgradeCounters") return { ...(value as object), eventSeq, deliveredSeq: eventSeq };
  if (table !== "snapshots") return value;
  // Nodes take no older one than they have. What it said is asked anew.
  const { version } = value as { readonly version: number };
  return { version: version + RESTORE_SKIP, digest: "", atMs: 0 };
}
