// Where a rollout's time went: its events, read from the app's own event stream.
import { EventSourceParserStream } from "eventsource-parser/stream";
import { BerthEvent } from "../../contracts/events.ts";
import type { Stack } from "../../dev/stack.ts";

const WITHIN_MS = 60_000;
/** Of events that each instance has, the last one counts: the release is as far as its slowest instance. */
const SHOWN = {
  "rollout.started": "started",
  "instance.placed": "placed",
  "instance.starting": "starting",
  "instance.ready": "ready",
  "route.published": "routed",
  "rollout.completed": "completed",
} as const;

/** Milliseconds from the API call to each step. The control plane's clock is this host's; it counts whole milliseconds. */
export type Phases = Readonly<Record<string, number>>;

/** Of the rollout that was started since beganAtMs; waits for its end, and throws if it did not complete. */
export async function readPhases(
  { controlUrl, operator }: Stack,
  app: string,
  { beganAtMs, onReady }: { readonly beganAtMs: number; readonly onReady: () => void },
): Promise<Phases> {
  const leave = new AbortController();
  const answer = await fetch(`${controlUrl}/v1/apps/${app}/events`, {
    headers: { authorization: `Bearer ${operator.token}` },
    signal: AbortSignal.any([leave.signal, AbortSignal.timeout(WITHIN_MS)]),
  });
  if (!answer.ok || answer.body === null) throw new Error(`the events of ${app} answered ${answer.status}`);
  const messages = answer.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  const phases: Record<string, number> = {};
  try {
    for await (const { data } of messages) {
      const event = BerthEvent.parse(JSON.parse(data));
      if (event.atMs < beganAtMs) continue;
      const name = SHOWN[event.type as keyof typeof SHOWN];
      if (name !== undefined) phases[name] = event.atMs - beganAtMs;
      if (event.type === "instance.ready") onReady();
      if (phases.started === undefined) continue;
      if (event.type === "rollout.completed") return phases;
      if (["rollout.failed", "rollout.cancelled", "rollout.superseded"].includes(event.type)) {
        throw new Error(`${event.type}: ${JSON.stringify(event.data)}`);
      }
    }
    throw new Error(`the events of ${app} ended before its rollout did`);
  } finally {
    leave.abort();
  }
}
