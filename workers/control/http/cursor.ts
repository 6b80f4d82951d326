// Cursors over lists that an App object keeps in the order of a number. Opaque to clients, like those of Postgres' lists.
import { decodeCursor, encodeCursor } from "../../../db/queries/page.ts";
import { unwrap } from "./respond.ts";

export const encodeNumber = (at: number): string => encodeCursor(String(at));

export function decodeNumber(cursor: string | undefined): number | null {
  const key = unwrap(decodeCursor(cursor, (text) => /^[1-9]\d{0,14}$/.test(text)));
  return key === null ? null : Number(key);
}
