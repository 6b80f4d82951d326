// The Cell object's rows, and what it may forget.
import type {
  HeartbeatRequest,
  NodeCapacity,
  NodeCondition,
  ObservedInstance,
  RuntimeKind,
} from "../../contracts/agent-protocol.ts";
import type { NodeDrain, RebalanceStep } from "../../contracts/api.ts";
import type { DesiredInstance } from "../../contracts/desired.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import type { Result } from "../../contracts/failures.ts";
import type { AppId, CellName, InstanceId, NodeId, RegionName } from "../../contracts/ids.ts";
import type { Resources } from "../../contracts/release.ts";
import type { Attempt } from "../attempts.ts";
import type { Layered } from "../layered.ts";
import type { KeptHoldings } from "./holdings.ts";
import type { CellSummary, CellToApp, ReserveAnswer, ReserveSlot } from "../messages.ts";

/** Key "cell"; made by the first enrolment. */
export interface CellRow {
  readonly cell: CellName;
  readonly region: RegionName;
  readonly createdAtMs: number;
  /** Since when rescheduling is frozen: many nodes fell silent at once, and it is us. Absent on rows of older runs. */
  readonly frozenSinceMs?: number | null;
}

export interface CellCounters {
  readonly eventSeq: number;
  readonly deliveredSeq: number;
}

/** suspect is not here: it lasts seconds, and a Cell that restarts gives every node a fresh window anyway. */
export type NodePhase = "enrolled" | "ready" | "unreachable" | "lost" | "removed";

export interface NodeRow {
  readonly id: NodeId;
  readonly name: string;
  readonly jkt: string;
  readonly signKey: string;
  readonly sealKey: string;
  readonly region: RegionName;
  readonly failureDomain: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly gatewayUrl: string;
  readonly capacity: NodeCapacity;
  readonly runtime: RuntimeKind;
  readonly platform: string;
  readonly agentVersion: string;
  readonly enrolledAtMs: number;
  readonly enrolledBy: string;
  readonly phase: NodePhase;
  readonly phaseSinceMs: number;
  /** Of the desired document; only rises. */
  readonly revision: number;
  /** Newest last. All but the last are over for good. */
  readonly boots: readonly string[];
  readonly meteringSeq: number;
  /** Instances removed from the document whose room is held until the node says that they stopped. */
  readonly gone: readonly InstanceId[];
  // Rows of older runs lack what follows.
  /** The operator's word, beside the phase. A drain implies it. */
  readonly cordoned?: boolean;
  readonly drain?: DrainRow | null;
  /** What the node last said is wrong with it as a whole. */
  readonly conditions?: readonly NodeCondition[];
  /** The last notice that became an event. */
  readonly noticeSeq?: number;
  /** Its Apps hold room elsewhere, because they were told that it is suspect. */
  readonly suspectTold?: boolean;
  /** Of a removed node: the Region has given its place away. */
  readonly placeReleased?: boolean;
}

/** An operator's drain. moved: instances that left the node since. */
export interface DrainRow {
  readonly state: NodeDrain["state"];
  readonly sinceMs: number;
  readonly startedBy: string;
  readonly moved: number;
}

/** Why an instance that is to leave its node has not, in its App's words. Key: instance. */
export interface HeldRow {
  readonly app: AppId;
  readonly reason: string;
}

/** The last heartbeat acknowledged as a lease of a node with strict singletons. Key: node. */
export interface LeaseRow {
  readonly atMs: number;
}

/** The rebalance under way. Key: "rebalance". A step leaves the list when its instance has left the node. */
export interface RebalanceRow {
  readonly startedAtMs: number;
  readonly deadlineAtMs: number;
  readonly startedBy: string;
  readonly steps: readonly RebalanceStep[];
  /** The nodes being emptied; cordoned for as long as this row stands. */
  readonly nodes: readonly NodeId[];
  readonly moved: number;
}

/**
 * A reservation that was committed. gone: out of the document of that revision, its room is held until the node says that it
 * stopped. confirm: its App waits to hear of that. fenced: a strict singleton that is certain to have stopped itself.
 */
export interface CellInstanceRow {
  readonly desired: DesiredInstance;
  readonly node: NodeId;
  /** What it was reserved as, so that it can be planned for elsewhere. Absent on rows of older runs. */
  readonly wants?: Wants;
  readonly state:
    | { readonly kind: "desired" }
    | { readonly kind: "gone"; readonly revision: number; readonly confirm?: boolean; readonly fenced?: boolean };
}

/** Of a slot: whatever bears on where it may go, beside its resources. */
export type Wants = Pick<ReserveSlot, "runtimes" | "placement" | "image">;

export interface ReservationRow {
  readonly key: string;
  readonly app: AppId;
  readonly node: NodeId;
  readonly generation: number;
  readonly ordinal: number;
  readonly resources: Resources;
  readonly untilMs: number;
  // Rows of older runs lack what follows.
  readonly hostPorts?: readonly number[];
  readonly wants?: Wants;
  /** `<team>/<app's name>`: whom apps that stay away from it mean. */
  readonly awayKey?: string | null;
}

/** What this Cell and one App have told each other. Kept after the last instance is gone, because seqs only rise. */
export interface AppLinkRow {
  /** Last commit or update applied, and what was answered. */
  readonly inSeq: number;
  readonly answer: Result<null>;
  readonly routeVersion: number;
  readonly watch: boolean;
  /** Messages: last one written, last one acknowledged. */
  readonly outSeq: number;
  readonly ackedSeq: number;
  /** Messages were left out because too many were waiting: resend the present state once there is room. */
  readonly stale: boolean;
}

/** The answer to a reserve, so that its repetition gets the same; forgotten when its reservations would have ended. */
export interface AnswerRow {
  readonly answer: ReserveAnswer;
  readonly untilMs: number;
}

export interface CellTables {
  readonly cell: CellRow;
  readonly counters: CellCounters;
  readonly nodes: NodeRow;
  readonly instances: CellInstanceRow;
  readonly reservations: ReservationRow;
  readonly apps: AppLinkRow;
  readonly answers: AnswerRow;
  /** What was last told to the App of an instance (key: instance). */
  readonly observed: ObservedInstance;
  readonly held: HeldRow;
  readonly leases: LeaseRow;
  readonly rebalance: RebalanceRow;
  /** Key: `<app>/<seq, zero-padded to 16 digits>`. */
  readonly messages: CellToApp;
  /** Key: seq, zero-padded to 16 digits. */
  readonly events: BerthEvent;
}
export const CELL_TABLE_NAMES = [
  "cell",
  "counters",
  "nodes",
  "instances",
  "reservations",
  "apps",
  "answers",
  "observed",
  "held",
  "leases",
  "rebalance",
  "messages",
  "events",
] as const satisfies readonly (keyof CellTables)[];

/** Forgotten at a restart; then every node gets a fresh window. windowsFromMs: silence is counted from here at the earliest. */
export interface CellVolatile {
  readonly windowsFromMs: number;
  readonly nodes: Layered<NodeId, NodeBeat>;
  readonly attempts: ReadonlyMap<string, Attempt>;
  readonly summary: CellSummary | null;
  /** When this Cell asked to be woken; a later wake than ownLagMs after it means that its own clock cannot be trusted. */
  readonly wakeAtMs: number | null;
  /** null: to be made from the rows. */
  readonly holdings: KeptHoldings | null;
}

export interface NodeBeat {
  readonly lastHeartbeatAtMs: number | null;
  readonly ackRevision: number;
  readonly agentVersion: string;
  readonly used: HeartbeatRequest["used"];
  readonly gatewayReady: boolean;
  /** What the node need not pull: digests and bundle hashes. */
  readonly images: readonly string[];
  readonly lanes: { readonly heartbeat: number; readonly poll: number; readonly ask: AskWindow };
  /** The gateway's second opinions in this silence. */
  readonly suspectSinceMs: number | null;
  readonly probesFailed: number;
}
/** used: the seqs within askWindow below `highest` that came already. */
export interface AskWindow {
  readonly highest: number;
  readonly used: readonly number[];
}
