// The Cell object's rows, and what it may forget.
import type { AgentReport } from "../../contracts/agent-release.ts";
import type {
  HeartbeatRequest,
  InstanceCounters,
  NodeCapacity,
  NodeCondition,
  NodeReach,
  ObservedInstance,
  RuntimeKind,
} from "../../contracts/agent-protocol.ts";
import type { NodeDrain, RebalanceStep } from "../../contracts/api.ts";
import type { DesiredInstance } from "../../contracts/desired.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import type { Result } from "../../contracts/failures.ts";
import type { HostPorts } from "../../contracts/host-ports.ts";
import type { AppId, CellName, InstanceId, NodeId, RegionName } from "../../contracts/ids.ts";
import type { NodeIsolation } from "../../contracts/node-isolation.ts";
import type { Resources } from "../../contracts/release.ts";
import type { Attempt } from "../attempts.ts";
import type { Layered } from "../layered.ts";
import type { KeptHoldings } from "./holdings.ts";
import type { CellUpgradeRow, NodeUpgradeRow } from "./upgrade-rows.ts";
import type { CellSummary, CellToApp, NodeNaming, ReserveAnswer, ReserveSlot } from "../messages.ts";

/** Key "cell"; made by the first enrolment. */
export interface CellRow {
  readonly cell: CellName;
  readonly region: RegionName;
  readonly createdAtMs: number;
  /** Since when rescheduling is frozen: many nodes fell silent at once, and it is us. Absent on rows of older runs. */
  readonly frozenSinceMs?: number | null;
  /** Made from a backup: until then it only listens (adoption.ts). */
  readonly adoptingUntilMs?: number | null;
  /** The version of the region's snapshot that somebody is missing from who was in the one before: its nodes are to have it. */
  readonly snapshot?: number;
}

export interface CellCounters {
  readonly eventSeq: number;
  readonly deliveredSeq: number;
  /** The highest outSeq of an App that was forgotten (AppLinkRow). Absent on rows of older runs: none was. */
  readonly forgottenSeq?: number;
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
  /** The newest socket of the newest boot. Absent: none yet. */
  readonly socketSeq?: number;
  readonly meteringSeq: number;
  /** Instances removed from the document whose room is held until the node says that they stopped. */
  readonly gone: readonly InstanceId[];
  // Rows of older runs lack what follows.
  /** The operator's word, beside the phase. A drain implies it. */
  readonly cordoned?: boolean;
  readonly drain?: DrainRow | null;
  /** What the node last said is wrong with it as a whole. */
  readonly conditions?: readonly NodeCondition[];
  /** Which host ports it offers, as it last said. */
  readonly hostPorts?: HostPorts;
  /** What its agent last said that it speaks. Absent: it has not said since rows have this, and counts as too old. */
  readonly protocol?: number;
  /** How it keeps tenants apart, as it last said. */
  readonly isolation?: NodeIsolation;
  /** How the edge comes to it, as its agent last said. Absent: directly. */
  readonly reach?: NodeReach;
  /** Through whom, of one that is reached through others; held: how many of those it has a connection to. */
  readonly relay?: { readonly through: NodeId | null; readonly held: number };
  /** What its DNS records say, where the control plane made them. */
  readonly naming?: NodeNaming;
  /** When the last metering row began, by the control plane's clock. */
  readonly meteredFromMs?: number;
  /** The last notice that became an event. */
  readonly noticeSeq?: number;
  /** Since a restore it runs what is in no row here, and its agent has not said what that is: it gets no document until then. */
  readonly strangers?: boolean;
  /** Its Apps hold room elsewhere, because they were told that it is suspect. */
  readonly suspectTold?: boolean;
  /** The Region knows that its place is taken for good. */
  readonly placeClaimed?: boolean;
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

/** An instance that has left its node, for as long as the node may still have usage of it to tell. Key: instance. */
export type LeftRow = Pick<DesiredInstance, "app" | "team" | "release" | "generation"> & {
  readonly node: NodeId;
  readonly atMs: number;
};

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

/** What this Cell and one App have told each other. Kept for a while after the last instance is gone (links.ts). */
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
  /** Seen with nothing left here, and how far both had spoken then. */
  readonly idle?: { readonly sinceMs: number; readonly inSeq: number; readonly outSeq: number };
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
  readonly left: LeftRow;
  readonly leases: LeaseRow;
  readonly rebalance: RebalanceRow;
  readonly upgrade: CellUpgradeRow;
  readonly upgraded: NodeUpgradeRow;
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
  "left",
  "leases",
  "rebalance",
  "upgrade",
  "upgraded",
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
  /** When what may be forgotten was last looked for. */
  readonly sweptAtMs: number;
  /** Per watched app, what its nodes told since its App was last told. */
  readonly counts: WatchedCounts;
  /** null: to be made from the rows. */
  readonly holdings: KeptHoldings | null;
}

export type WatchedCounts = ReadonlyMap<AppId, AppCounts>;
export interface AppCounts {
  readonly sentAtMs: number;
  readonly items: ReadonlyMap<InstanceId, InstanceCounters>;
}

export interface NodeBeat {
  readonly lastHeartbeatAtMs: number | null;
  readonly ackRevision: number;
  readonly agentVersion: string;
  readonly used: HeartbeatRequest["used"];
  readonly gatewayReady: boolean;
  /** What its agent says of itself; absent of agents from before upgrades. */
  readonly agent?: AgentReport;
  /** What the node need not pull: digests and bundle hashes. */
  readonly images: readonly string[];
  readonly lanes: { readonly heartbeat: number; readonly poll: number; readonly ask: AskWindow };
  /** The gateway's second opinions in this silence. */
  readonly suspectSinceMs: number | null;
  readonly probesFailed: number;
  /** When its newest start was first heard; absent: before this object's own. */
  readonly bootSinceMs?: number;
  /** When an older start was last heard beside it. */
  readonly twinAtMs?: number;
  /** What is left of what it may have this Cell do; absent: all of it. */
  readonly buckets?: { readonly beats?: Bucket; readonly flips?: Bucket; readonly reports?: Bucket };
}
/** So much was left then. */
export interface Bucket {
  readonly left: number;
  readonly atMs: number;
}
/** used: the seqs within askWindow below `highest` that came already. */
export interface AskWindow {
  readonly highest: number;
  readonly used: readonly number[];
}
