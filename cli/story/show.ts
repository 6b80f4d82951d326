// A story on the screen: one line per event, oldest first, with the day once and the time to the millisecond.
import pc from "picocolors";
import type { BerthEvent } from "../../contracts/events.ts";
import { page } from "../../contracts/api.ts";
import { BerthEvent as BerthEventSchema } from "../../contracts/events.ts";
import { withNames } from "../actors.ts";
import type { Context } from "../context.ts";

const PAGE_MAX = 100;

/** The last so many, oldest first. */
export async function lastEvents(context: Context, path: string, count: number): Promise<BerthEvent[]> {
  const newest: BerthEvent[] = [];
  let cursor: string | null = null;
  while (newest.length < count) {
    const limit = Math.min(PAGE_MAX, count - newest.length);
    const query: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const answer: { items: BerthEvent[]; nextCursor: string | null } = await context.api.call(
      page(BerthEventSchema),
      "GET",
      `${path}?limit=${limit}${query}`,
    );
    newest.push(...answer.items);
    cursor = answer.nextCursor;
    if (cursor === null) break;
  }
  return newest.reverse();
}

export function storyTeller(
  context: Context,
  tell: (event: BerthEvent) => string | null,
): (event: BerthEvent) => Promise<void> {
  let day = "";
  return async (event) => {
    const text = tell(event);
    if (text === null) return;
    const at = new Date(event.atMs);
    if (at.toDateString() !== day) {
      day = at.toDateString();
      context.out.line(pc.dim(day));
    }
    context.out.line(`${pc.dim(timeOf(at))}  ${await withNames(context, text)}`);
  };
}

function timeOf(at: Date): string {
  const two = (count: number): string => String(count).padStart(2, "0");
  const seconds = `${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
  return `${two(at.getHours())}:${two(at.getMinutes())}:${seconds}`;
}
