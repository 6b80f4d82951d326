// An object's rows out of it and into an empty one: a copy of one moment, read page by page; all of it stored at once, or nothing.
import type { Result } from "../../contracts/failures.ts";
import type { CopyPage, CopyRow, DumpInput, LoadInput } from "../../core/restore/types.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { LAYOUT } from "./layout.ts";

/** The table of one row that says which backup this object was made from; no step reads it. */
const ORIGIN = "origin";

export class StateCopy {
  readonly #storage: DurableObjectStorage;
  /** Steps go on between two pages, so the copy is made at the first. Lost with the object's memory: then it is made anew. */
  #taken: { readonly id: string; readonly rows: number; readonly pages: readonly string[] } | null = null;
  #coming: { readonly backup: string; readonly pages: string[] } | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  dump({ copy, page }: DumpInput): Result<CopyPage> {
    if (copy === null) this.#taken = this.#take();
    const taken = this.#taken;
    if (taken === null || (copy !== null && taken.id !== copy)) {
      return { ok: false, failure: { code: "conflict", message: "This copy is no longer held; begin again." } };
    }
    const text = taken.pages[page];
    if (text === undefined) {
      return { ok: false, failure: { code: "not_found", message: `The copy has ${taken.pages.length} pages.` } };
    }
    const { id, rows, pages } = taken;
    if (page === pages.length - 1) this.#taken = null;
    return { ok: true, value: { copy: id, layout: LAYOUT.length, rows, pages: pages.length, text } };
  }

  /** turn: what the rows are to become, given all of them; loaded: they are stored. Repeating a backup's load changes nothing. */
  load(
    { backup, page, pages, layout, text }: LoadInput,
    turn: (rows: readonly CopyRow[]) => readonly CopyRow[],
    loaded: () => void,
  ): Result<null> {
    const refuse = (message: string): Result<null> => ({ ok: false, failure: { code: "conflict", message } });
    const origin = this.#origin();
    if (origin === backup) return { ok: true, value: null };
    if (origin !== null || this.#rowCount() > 0)
      return refuse("This object is not empty; a backup only goes into an empty one.");
    if (layout > LAYOUT.length)
      return refuse(`Its rows are of layout ${layout}, and this version knows ${LAYOUT.length}.`);
    if (page === 0) this.#coming = { backup, pages: [] };
    if (this.#coming?.backup !== backup || this.#coming.pages.length !== page)
      return refuse("A page is missing; begin again.");
    this.#coming.pages.push(text);
    if (page < pages - 1) return { ok: true, value: null };
    const rows = turn(rowsOf(this.#coming.pages));
    this.#coming = null;
    this.#store([...rows, { table: ORIGIN, key: ORIGIN, value: backup }]);
    loaded();
    return { ok: true, value: null };
  }

  #take() {
    const pages: string[] = [];
    let lines: string[] = [];
    let length = 0;
    let rows = 0;
    const sql = "SELECT table_name, row_key, value FROM object_row WHERE table_name <> ? ORDER BY place";
    for (const row of this.#storage.sql.exec(sql, ORIGIN)) {
      const line = `[${JSON.stringify(row["table_name"])},${JSON.stringify(row["row_key"])},${String(row["value"])}]\n`;
      if (length > 0 && length + line.length > DEFAULT_LIMITS.copyPageCharsMax) {
        pages.push(lines.join(""));
        lines = [];
        length = 0;
      }
      lines.push(line);
      length += line.length;
      rows += 1;
    }
    pages.push(lines.join(""));
    return { id: crypto.randomUUID(), rows, pages };
  }

  #store(rows: readonly CopyRow[]): void {
    const { sql } = this.#storage;
    this.#storage.transactionSync(() => {
      for (const { table, key, value } of rows) {
        sql.exec(
          "INSERT INTO object_row (table_name, row_key, value) VALUES (?, ?, ?)",
          table,
          key,
          JSON.stringify(value),
        );
      }
    });
  }

  #rowCount(): number {
    return Number(this.#storage.sql.exec("SELECT count(*) AS rows FROM object_row").one()["rows"]);
  }

  #origin(): string | null {
    const [row] = this.#storage.sql.exec("SELECT value FROM object_row WHERE table_name = ?", ORIGIN).toArray();
    return row === undefined ? null : (JSON.parse(String(row["value"])) as string);
  }
}

function rowsOf(pages: readonly string[]): CopyRow[] {
  return pages.flatMap((page) =>
    page
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [table, key, value] = JSON.parse(line) as [string, string, unknown];
        return { table, key, value };
      }),
  );
}
