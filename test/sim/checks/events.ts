// Tells the trace and the counts what objects say has happened, so that a run says which of the rarer paths it took.
import type { BerthEvent } from "../../../contracts/events.ts";
import { seqKey } from "../../../core/keys.ts";
import type { World } from "../world.ts";

interface Tables {
  readonly counters: ReadonlyMap<string, { readonly eventSeq: number }>;
  readonly events: ReadonlyMap<string, BerthEvent>;
}

/** Too many of these to read. */
const QUIET: readonly string[] = ["instance.pulling", "instance.starting", "route.published", "rollout.progressed"];

/** Returns the last seq that there is. */
export function noteEvents(world: World, source: string, { counters, events }: Tables, seenSeq: number): number {
  const eventSeq = counters.get("counters")?.eventSeq ?? 0;
  for (let seq = seenSeq + 1; seq <= eventSeq; seq += 1) {
    const event = events.get(seqKey(seq));
    if (!event) continue;
    world.happened(event.type);
    if (!QUIET.includes(event.type)) world.note(`${source}: ${event.type} ${event.subject}${detail(event)}`);
  }
  return eventSeq;
}

function detail({ data }: BerthEvent): string {
  const { instance, rollout, ...rest } = data as { instance?: InstanceView; rollout?: RolloutView };
  const words: string[] = [];
  if (instance) words.push(`v${instance.version}/${instance.ordinal} on ${instance.nodeName ?? "no node"}`);
  if (rollout) {
    const { reason, toVersion, phase, step, weights = [], failure } = rollout;
    const shares = weights.map(({ version, weight }) => `v${version}=${weight}`).join(" ");
    words.push(`${reason} to v${toVersion ?? "?"}, ${phase}${step ? ` ${step.index}/${step.of}` : ""} ${shares}`);
    if (failure) words.push(JSON.stringify(failure).slice(0, 150));
  }
  if (Object.keys(rest).length > 0) words.push(JSON.stringify(rest).slice(0, 200));
  return words.length > 0 ? `: ${words.join(" ")}` : "";
}

interface InstanceView {
  readonly version?: number;
  readonly ordinal?: number;
  readonly nodeName?: string | null;
}
interface RolloutView {
  readonly reason?: string;
  readonly toVersion?: number;
  readonly phase?: string;
  readonly step?: { readonly index: number; readonly of: number } | null;
  readonly weights?: readonly { readonly version: number; readonly weight: number }[];
  readonly failure?: unknown;
}
