// The durable list of a stack's processes, written before anything waits for them, so that a later start finds orphans.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identify, isAlive, type ProcessIdentity } from "./identity.ts";

export interface LedgerEntry extends ProcessIdentity {
  readonly role: string;
}

export class Ledger {
  readonly #path: string;
  readonly #entries = new Map<string, LedgerEntry>();

  constructor(stateDir: string) {
    this.#path = join(stateDir, "processes.json");
    for (const entry of readEntries(this.#path)) this.#entries.set(entry.role, entry);
  }

  record(role: string, pid: number): LedgerEntry | null {
    const identity = identify(pid);
    if (identity === null) return null;
    const entry = { role, ...identity };
    this.#entries.set(role, entry);
    this.#save();
    return entry;
  }

  forget(role: string): void {
    if (this.#entries.delete(role)) this.#save();
  }

  entry(role: string): LedgerEntry | null {
    return this.#entries.get(role) ?? null;
  }

  /** What is recorded and still the very process that was recorded. */
  living(): LedgerEntry[] {
    return [...this.#entries.values()].filter(isAlive);
  }

  #save(): void {
    const temporary = `${this.#path}.new`;
    writeFileSync(temporary, JSON.stringify([...this.#entries.values()], null, 2), { mode: 0o600 });
    renameSync(temporary, this.#path);
  }
}

function readEntries(path: string): LedgerEntry[] {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, "utf8"));
    return Array.isArray(parsed) ? parsed.filter(isEntry) : [];
  } catch {
    // No ledger yet, or one cut short by a power cut: the marks in the environment still tell.
    return [];
  }
}

function isEntry(value: unknown): value is LedgerEntry {
  const entry = value as Partial<LedgerEntry> | null;
  return typeof entry?.role === "string" && typeof entry.pid === "number" && typeof entry.startTime === "string";
}
