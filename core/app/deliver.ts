// What Cells tell: each message once, in order; what nodes saw of instances becomes their rows and events.
import type { ObservedInstance } from "../../contracts/agent-protocol.ts";
import type { EventType } from "../../contracts/events.ts";
import type { CellName, InstanceId, NodeId } from "../../contracts/ids.ts";
import type { CellToApp } from "../messages.ts";
import { cellLinkOf } from "./calls.ts";
import { changeInstance, emit, type AppContext } from "./context.ts";
import { evacuate, stay } from "./evacuation.ts";
import { end } from "./instances.ts";
import { isSingleton } from "./policy.ts";
import { restored } from "./restoring.ts";
import { callUp, nodeCleared, nodeSuspect } from "./standby.ts";
import type { AppInputs, InstanceRow } from "./types.ts";
import { instanceView } from "./views.ts";

/**
 * Takes what follows on the last message taken, or acknowledged as its Cell has it; a gap waits for its repetition. A kind that
 * only newer Cells know is taken too, and nothing follows from it: unacknowledged it would hold up all that comes after.
 */
export function deliver(ctx: AppContext, { cell, ackedSeq = 0, messages }: AppInputs["deliver"]): { ackSeq: number } {
  const link = cellLinkOf(ctx, cell);
  let inSeq = Math.max(link.inSeq, ackedSeq);
  for (const message of [...messages].sort((a, b) => a.seq - b.seq)) {
    if (message.seq !== inSeq + 1) continue;
    inSeq = message.seq;
    take(ctx, cell, message);
  }
  if (inSeq !== link.inSeq) ctx.draft.put("cells", cell, { ...cellLinkOf(ctx, cell), inSeq });
  return { ackSeq: inSeq };
}

function take(ctx: AppContext, cell: CellName, message: CellToApp): void {
  switch (message.kind) {
    case "observed":
      return observe(ctx, message.node, message.observed);
    case "node_gone":
      return nodeGone(ctx, message.instances, message.kept ?? []);
    case "node_back":
      return nodeBack(ctx, cell, message.node);
    case "node_suspect":
      return nodeSuspect(ctx, cell, message.instances);
    case "node_cleared":
      return nodeCleared(ctx, cell, message.node);
    case "node_moved":
      return nodeMoved(ctx, cell, message);
    case "gone":
      return gone(ctx, cell, message.instances);
    case "evacuate":
      return evacuate(ctx, cell, message);
    case "stay":
      return stay(ctx, cell, message.node);
    case "restored":
      return restored(ctx, cell, message);
    default:
      return ignored(message);
  }
}

const ignored = (_message: never): void => undefined;

const KINDS: Readonly<Record<CellToApp["kind"], true>> = {
  observed: true,
  node_gone: true,
  node_back: true,
  node_suspect: true,
  node_cleared: true,
  node_moved: true,
  gone: true,
  evacuate: true,
  stay: true,
  restored: true,
};

/** What a newer Cell says and this App does not understand: for the log. */
export const unknownKinds = (messages: readonly { readonly kind: string }[]): string[] => [
  ...new Set(messages.map(({ kind }) => kind).filter((kind) => !Object.hasOwn(KINDS, kind))),
];

const MAY_STILL_RUN = " This singleton has no successor before it is known to have stopped there.";

/** Those of `kept` leave the route too, but keep their slots; whoever is named among `instances` later gives it up. */
function nodeGone(ctx: AppContext, instances: readonly InstanceId[], kept: readonly InstanceId[]): void {
  const mayRun = new Set(kept);
  for (const id of [...instances, ...kept]) {
    const row = ctx.draft.get("instances", id);
    if (!row || row.phase.kind === "ended") continue;
    const isKept = mayRun.has(id);
    const isGone = !isKept && isSingleton(ctx, row);
    if (row.nodeGone || row.phase.kind === "stopping") {
      if (isGone) changeInstance(ctx, row, { kept: false, gone: true });
      continue;
    }
    const failure = {
      code: "node_lost" as const,
      message: `${row.placement?.nodeName ?? "Its node"} does not answer.${isKept ? MAY_STILL_RUN : ""}`,
      exitCode: null,
      signal: null,
      logTail: [],
    };
    const lost = changeInstance(ctx, row, {
      nodeGone: true,
      suspect: false,
      kept: isKept,
      gone: isGone,
      observed: null,
      readySinceMs: null,
      failure,
    });
    emit(ctx, { type: "instance.failed", subject: id, data: { instance: instanceView(ctx, lost) } });
  }
  callUp(ctx, new Set(instances));
}

/** What it runs there is said anew after this message. */
function nodeBack(ctx: AppContext, cell: CellName, node: NodeId): void {
  nodeCleared(ctx, cell, node);
  for (const row of [...ctx.draft.values("instances")]) {
    if (row.nodeGone && !row.gone && row.cell === cell && row.placement?.node === node) {
      changeInstance(ctx, row, { nodeGone: false, kept: false, failure: null });
    }
  }
}

/** The route names where an instance is reached: it is published anew where that is another place. */
function nodeMoved(ctx: AppContext, cell: CellName, { node, gatewayUrl }: { node: NodeId; gatewayUrl: string }): void {
  for (const row of [...ctx.draft.values("instances")]) {
    const { placement } = row;
    if (row.cell !== cell || placement?.node !== node || placement.gatewayUrl === gatewayUrl) continue;
    changeInstance(ctx, row, { placement: { ...placement, gatewayUrl } });
  }
}

/** What this App waited for before it lets a singleton's next instance start. */
function gone(ctx: AppContext, cell: CellName, instances: readonly InstanceId[]): void {
  for (const id of instances) {
    const row = ctx.draft.get("instances", id);
    if (row?.cell === cell && row.phase.kind === "stopping") end(ctx, changeInstance(ctx, row, { gone: true }));
  }
}

export function observe(ctx: AppContext, node: NodeId, observed: ObservedInstance): void {
  const row = ctx.draft.get("instances", observed.instance);
  if (!row || row.phase.kind === "ended" || row.generation !== observed.generation) return;
  if (row.placement?.node !== node) return;
  const { status } = observed;
  const before = row.observed;
  const crashedAgain =
    status.kind === "backoff" && (before?.kind !== "backoff" || before.retryAtMs !== status.retryAtMs);
  const crashes = Math.max(observed.restarts, row.crashes + (crashedAgain ? 1 : 0));
  const serves = status.kind === "ready" || status.kind === "unready";
  const readySinceMs = row.readySinceMs ?? null;
  const ranWell = readySinceMs !== null && ctx.nowMs - readySinceMs >= ctx.limits.replaceResetMs;
  const failure = "failure" in status ? status.failure : status.kind === "ready" ? null : row.failure;
  const begun = status.kind !== "pending" && status.kind !== "pulling";
  const after = changeInstance(ctx, row, {
    // A node that has it proves the commit, even if the Cell's answer was lost.
    phase: row.phase.kind === "committing" ? { kind: "running", sinceMs: ctx.nowMs } : row.phase,
    observed: status,
    restarts: observed.restarts,
    crashes,
    loopCrashes: (ranWell ? 0 : (row.loopCrashes ?? 0)) + crashes - row.crashes,
    readySinceMs: serves ? (readySinceMs ?? (status.kind === "ready" ? ctx.nowMs : null)) : null,
    ranWell: ranWell || (row.ranWell ?? false),
    failure,
    startedAtMs: row.startedAtMs ?? (begun ? ctx.nowMs : null),
    readyAtMs: row.readyAtMs ?? (status.kind === "ready" ? ctx.nowMs : null),
  });
  const type = eventTypeOf(before?.kind ?? null, status.kind);
  if (type) emit(ctx, { type, subject: row.id, data: { instance: instanceView(ctx, after) } });
  if (observed.digest) pin(ctx, row, observed.digest);
}

/** The first instance to resolve the image decides for all: later documents name the digest (releases are immutable). */
function pin(ctx: AppContext, row: InstanceRow, digest: string): void {
  const kept = ctx.draft.get("releases", row.release);
  if (!kept || kept.release.digest !== null) return;
  ctx.draft.put("releases", row.release, { ...kept, release: { ...kept.release, digest } });
  emit(ctx, { type: "release.pinned", subject: row.release, data: { version: kept.release.version, digest } });
}

type StatusKind = ObservedInstance["status"]["kind"];

function eventTypeOf(before: StatusKind | null, after: StatusKind): EventType | null {
  if (after === "pulling") return "instance.pulling";
  if (after === "backoff") return "instance.restarting";
  if (before === after) return null;
  switch (after) {
    case "starting":
      return "instance.starting";
    case "ready":
      return "instance.ready";
    case "unready":
      return "instance.unready";
    case "failed":
      return "instance.failed";
    default:
      return null;
  }
}
