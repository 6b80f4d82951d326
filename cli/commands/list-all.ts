// A whole list over its pages.
import type { z } from "zod";
import { page } from "../../contracts/api.ts";
import type { Context } from "../context.ts";

const PAGES_MAX = 100;

/** Follows the cursor to the end (at most 100 pages of 100; what is beyond is said to be missing, on stderr). */
export async function listAll<Item extends z.ZodType>(
  context: Context,
  item: Item,
  path: string,
): Promise<z.infer<Item>[]> {
  const items: z.infer<Item>[] = [];
  let cursor: string | null = null;
  for (let count = 0; count < PAGES_MAX; count += 1) {
    const first = `${path.includes("?") ? "&" : "?"}limit=100`;
    const query: string = cursor === null ? first : `${first}&cursor=${encodeURIComponent(cursor)}`;
    const answer: { items: z.infer<Item>[]; nextCursor: string | null } = await context.api.call(
      page(item),
      "GET",
      path + query,
    );
    items.push(...answer.items);
    cursor = answer.nextCursor;
    if (cursor === null) return items;
  }
  context.out.note(`There are more: only the first ${items.length} are shown.`);
  return items;
}
