// The outbox: an object's event rows go to the control Worker's sink, in order; the step forgets them once they are acknowledged.
import type { BerthEvent } from "../../contracts/events.ts";
import { controlExports } from "./control-exports.ts";
import { callObject } from "./call.ts";

export type OutboxOutcome =
  | { readonly kind: "outbox_acked"; readonly lastSeq: number }
  | { readonly kind: "outbox_failed"; readonly message: string };

/** Nobody waits for it: while Postgres is away the rows stay where they are, and the step says when to try again. */
export async function drainOutbox(
  state: DurableObjectState,
  batch: { readonly source: string; readonly events: readonly BerthEvent[] },
): Promise<OutboxOutcome> {
  const { source, events } = batch;
  const outcome = await callObject(() => controlExports(state).OutboxSink.accept({ source, events }));
  if (outcome.kind === "unanswered") return { kind: "outbox_failed", message: outcome.message };
  if (!outcome.value.ok) return { kind: "outbox_failed", message: outcome.value.failure.message };
  return { kind: "outbox_acked", lastSeq: outcome.value.value.lastSeq };
}
