// Cursors over lists that objects keep. Opaque to clients, like those of Postgres' lists.
import { decodeCursor, encodeCursor, pageOf, type Page, type PageRequest } from "../../../db/queries/page.ts";
import { unwrap } from "./respond.ts";

export const encodeNumber = (at: number): string => encodeCursor(String(at));

export function decodeNumber(cursor: string | undefined): number | null {
  const key = unwrap(decodeCursor(cursor, (text) => /^[1-9]\d{0,14}$/.test(text)));
  return key === null ? null : Number(key);
}

/**
 * A page of a list that an object answers whole. `orderOf` is unique and sorts as text: the cursor is the place of the last one
 * shown, so that a page does not shift when things come and go.
 */
export function pageOfAll<Item>(
  all: readonly Item[],
  { limit, cursor }: PageRequest,
  orderOf: (item: Item) => string,
): Page<Item> {
  const after = unwrap(decodeCursor(cursor, (key) => /^[\w.-]{1,128}$/.test(key)));
  const placed = all.map((item) => ({ item, order: orderOf(item) }));
  placed.sort((a, b) => (a.order < b.order ? -1 : 1));
  const rest = after === null ? placed : placed.filter(({ order }) => order > after);
  return pageOf(
    rest,
    limit,
    ({ order }) => order,
    ({ item }) => item,
  );
}

const DIGITS = 15;
const WHOLE_MAX = 10 ** DIGITS - 1;

/** A whole number as text that sorts as it does, or the other way round. */
export const rising = (number: number): string => String(number).padStart(DIGITS, "0");
export const falling = (number: number): string => rising(WHOLE_MAX - number);
