// What the recording entrypoints were asked, and how they shall answer. Tests and the Worker share one isolate.
import type { BerthEvent } from "../../contracts/events.ts";
import type { GatewayProbeRpc, InstanceProbeRpc, OutboxSinkRpc, VerifierRpc } from "../../durable-objects/rpc.ts";

export interface Recorded {
  sink: "works" | "away" | "throws" | "answer_lost";
  verifier: "works" | "throws";
  prober: "answers" | "silent" | "throws";
  secondOpinion: "answers" | "silent" | "throws";
  /** Methods of objects (`Cell.reserve`) that fail, and which of them did. */
  failing: Map<string, "before" | "after">;
  failed: string[];
  /** Every call of a method that may fail. */
  calls: { method: string; input: unknown }[];
  batches: Parameters<OutboxSinkRpc["accept"]>[0][];
  events: Map<string, BerthEvent[]>;
  verifications: Parameters<VerifierRpc["verify"]>[0][];
  probes: Parameters<GatewayProbeRpc["probe"]>[0][];
  secondOpinions: Parameters<InstanceProbeRpc["probe"]>[0][];
}

const fresh = (): Omit<Recorded, "events"> => ({
  sink: "works",
  verifier: "works",
  prober: "answers",
  secondOpinion: "answers",
  failing: new Map(),
  failed: [],
  calls: [],
  batches: [],
  verifications: [],
  probes: [],
  secondOpinions: [],
});

/** One for the isolate, wherever this module is loaded from. */
const shared = globalThis as { berthRecorded?: Recorded };
export const recorded: Recorded = (shared.berthRecorded ??= { ...fresh(), events: new Map() });

/** All but the stored events: Postgres does not forget either. */
export function resetRecorded(): void {
  Object.assign(recorded, fresh());
}
