// Backups that were made, for the operator.
import { desc, eq } from "drizzle-orm";
import type { BackupRecord } from "../../contracts/backup.ts";
import type { Database } from "../connect.ts";
import { backups } from "../schema/backups.ts";

const LISTED_MAX = 50;
const OPERATOR = { kind: "operator" } as const;

export async function addBackup(db: Database, record: BackupRecord): Promise<BackupRecord> {
  const results = await db.runAll(OPERATOR, (statements) => [
    statements.insert(backups).values(record).onConflictDoNothing(),
    statements.select().from(backups).where(eq(backups.id, record.id)),
  ]);
  return (results[1] as BackupRecord[])[0]!;
}

export async function listBackups(db: Database): Promise<BackupRecord[]> {
  return db.run(OPERATOR, (statements) =>
    statements.select().from(backups).orderBy(desc(backups.endedAtMs)).limit(LISTED_MAX),
  );
}
