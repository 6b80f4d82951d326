// Storage migrations of an object: an append-only list, applied in order, each once, inside start-up.

/** One step of an object's storage layout. Once shipped it is never edited, moved or removed: append another. */
export type Migration = (sql: SqlStorage) => void;

/** Brings the storage to the newest layout. Storage written by a newer version is refused rather than guessed at. */
export function migrate(storage: DurableObjectStorage, migrations: readonly Migration[]): void {
  storage.transactionSync(() => {
    const { sql } = storage;
    sql.exec("CREATE TABLE IF NOT EXISTS layout (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)");
    const version = Number(sql.exec("SELECT version FROM layout").toArray()[0]?.["version"] ?? 0);
    if (version > migrations.length) {
      throw new Error(`storage layout ${version} is newer than this code, which knows ${migrations.length}`);
    }
    if (version === migrations.length) return;
    for (const migration of migrations.slice(version)) migration(sql);
    sql.exec(
      "INSERT INTO layout (one, version) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET version = excluded.version",
      migrations.length,
    );
  });
}
