// Keyset pages: a cursor is the id of the last row shown, so that a page never shifts when rows are added.
import type { Result } from "../../contracts/failures.ts";

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string;
}

export interface Page<Item> {
  readonly items: Item[];
  readonly nextCursor: string | null;
}

/** Opaque to clients: base64url of the last row's key. */
export function encodeCursor(key: string): string {
  return btoa(key).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The key in a cursor, if `isKey` knows it; null where there is no cursor. */
export function decodeCursor(cursor: string | undefined, isKey: (key: string) => boolean): Result<string | null> {
  if (cursor === undefined) return { ok: true, value: null };
  const key = textOf(cursor);
  if (key !== null && isKey(key)) return { ok: true, value: key };
  const message = "is not a cursor that this list gave out";
  return {
    ok: false,
    failure: {
      code: "invalid_request",
      message: `query parameter cursor: ${message}`,
      errors: [{ pointer: "query:cursor", rule: "cursor", message }],
    },
  };
}

function textOf(cursor: string): string | null {
  try {
    return atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return null;
  }
}

/** Of limit + 1 rows read: the page, and a cursor if there was one row more. */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => string,
  itemOf: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextCursor = rows.length > limit && last !== undefined ? encodeCursor(keyOf(last)) : null;
  return { items: shown.map(itemOf), nextCursor };
}
