// Messages from this Cell to Apps: numbered, kept until acknowledged, sent in order. Level-triggered where there are too many.
import type { AppId } from "../../contracts/ids.ts";
import { seqKey } from "../keys.ts";
import type { CellToApp } from "../messages.ts";
import { cellOf, type CellContext } from "./context.ts";
import { linkOf } from "./links.ts";

type Unnumbered = CellToApp extends infer Message ? (Message extends CellToApp ? Omit<Message, "seq"> : never) : never;

const messageKey = (app: AppId, seq: number): string => `${app}/${seqKey(seq)}`;
export const deliveryKey = (app: AppId): string => `deliver:${app}`;

/** While the Cell adopts what runs, every link is stale: what is so is told at its end. */
export function tellApp(ctx: CellContext, app: AppId, message: Unnumbered): void {
  const link = linkOf(ctx, app);
  if (link.stale || link.outSeq - link.ackedSeq >= ctx.limits.messagesPendingMax) {
    if (!link.stale) ctx.draft.put("apps", app, { ...link, stale: true });
    return;
  }
  writeMessage(ctx, app, message);
}

/** Without the limit: the present state, which is as large as it is, and whose half would never be the whole. */
export function writeMessage(ctx: CellContext, app: AppId, message: Unnumbered): void {
  const link = linkOf(ctx, app);
  const seq = link.outSeq + 1;
  ctx.draft.put("apps", app, { ...link, outSeq: seq });
  ctx.draft.put("messages", messageKey(app, seq), { ...message, seq } as CellToApp);
}

/** The App has everything up to ackSeq. */
export function acknowledge(ctx: CellContext, app: AppId, ackSeq: number): void {
  const link = linkOf(ctx, app);
  const acked = Math.min(ackSeq, link.outSeq);
  if (acked > link.ackedSeq) {
    for (let seq = link.ackedSeq + 1; seq <= acked; seq += 1) ctx.draft.drop("messages", messageKey(app, seq));
    ctx.draft.put("apps", app, { ...link, ackedSeq: acked });
    ctx.attempts.settle(deliveryKey(app));
  } else if (link.outSeq > link.ackedSeq) {
    ctx.attempts.failed(deliveryKey(app), ctx.limits.callRetryMs, ctx.limits.callRetryMaxMs);
  }
}

/**
 * One batch per App is out at a time, so that they arrive in order; it is repeated until acknowledged. A step looks at so many
 * waiting Apps and no more, each in its turn: after the loss of many nodes there are thousands.
 */
export function deliverDue(ctx: CellContext): void {
  const cell = cellOf(ctx);
  const { waiting } = ctx.holdings;
  if (!cell || waiting.size === 0) return;
  const { deliveriesPerStepMax, deliverNextMs } = ctx.limits;
  if (waiting.size > deliveriesPerStepMax) ctx.attempts.postpone("deliver", ctx.nowMs + deliverNextMs);
  else ctx.attempts.settle("deliver");
  for (const app of firstOf(waiting, deliveriesPerStepMax)) {
    if (waiting.size > deliveriesPerStepMax) {
      waiting.delete(app);
      waiting.add(app);
    }
    if (!ctx.attempts.claim(deliveryKey(app), ctx.limits.callRetryMs, ctx.limits.callRetryMaxMs)) continue;
    const link = linkOf(ctx, app);
    const last = Math.min(link.outSeq, link.ackedSeq + ctx.limits.messageBatchMax);
    const messages: CellToApp[] = [];
    for (let seq = link.ackedSeq + 1; seq <= last; seq += 1) {
      const message = ctx.draft.get("messages", messageKey(app, seq));
      if (message) messages.push(message);
    }
    ctx.effects.push({ kind: "deliver_messages", app, cell: cell.cell, ackedSeq: link.ackedSeq, messages });
  }
}

function firstOf<Item>(items: Iterable<Item>, max: number): Item[] {
  const first: Item[] = [];
  for (const item of items) {
    if (first.length >= max) break;
    first.push(item);
  }
  return first;
}
