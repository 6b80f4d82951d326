// What this Cell and each App have told each other so far, and when that may be forgotten.
import type { AppId } from "../../contracts/ids.ts";
import { ok } from "../results.ts";
import { countersOf, type CellContext } from "./context.ts";
import type { AppLinkRow } from "./types.ts";

/**
 * Of an App that is not known, or not any more: messages are numbered above all that were told to those that were forgotten,
 * so that it takes them for new whichever it was. Its own calls count from whatever comes.
 */
export function linkOf(ctx: CellContext, app: AppId): AppLinkRow {
  const known = ctx.draft.get("apps", app);
  if (known) return known;
  const { forgottenSeq: outSeq = 0 } = countersOf(ctx);
  return { inSeq: 0, answer: ok(null), routeVersion: 0, watch: false, outSeq, ackedSeq: outSeq, stale: false };
}

/**
 * Apps that have nothing here and heard everything, and with whom nothing was spoken since they were first seen so. A call of
 * theirs that was answered is not repeated after so long; if it were, it would name instances and room that are not there.
 */
export function forgetLinks(ctx: CellContext): void {
  const counters = countersOf(ctx);
  const { linkIdleMs, forgottenPerSweepMax } = ctx.limits;
  let { forgottenSeq = 0 } = counters;
  let written = 0;
  for (const [key, link] of [...ctx.draft.entries("apps")]) {
    const app = key as AppId;
    const { inSeq, outSeq, idle } = link;
    if (ctx.holdings.ofApp.has(app) || link.stale || outSeq !== link.ackedSeq) continue;
    if (written >= forgottenPerSweepMax) break;
    if (!idle || idle.inSeq !== inSeq || idle.outSeq !== outSeq) {
      ctx.draft.put("apps", app, { ...link, idle: { sinceMs: ctx.nowMs, inSeq, outSeq } });
    } else if (ctx.nowMs >= idle.sinceMs + linkIdleMs) {
      forgottenSeq = Math.max(forgottenSeq, outSeq);
      ctx.draft.drop("apps", app);
    } else continue;
    written += 1;
  }
  if (forgottenSeq !== (counters.forgottenSeq ?? 0))
    ctx.draft.put("counters", "counters", { ...counters, forgottenSeq });
}
