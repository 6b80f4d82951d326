// What a Cell forgets in time, so that its rows do not grow with its age: looked at now and then, in whatever step comes.
import type { CellContext } from "./context.ts";
import { forgetLinks } from "./links.ts";
import { forgetLeft } from "./metering.ts";

/** sweptAtMs: when it was last looked at. Answers when it was now. No alarm: where nothing happens, nothing grows. */
export function forget(ctx: CellContext, sweptAtMs: number): number {
  if (ctx.nowMs < sweptAtMs + ctx.limits.forgetIntervalMs) return sweptAtMs;
  forgetLeft(ctx);
  forgetLinks(ctx);
  return ctx.nowMs;
}
