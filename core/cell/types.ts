// The Cell object's shapes: its tables, what it may forget, the events it is stepped with and the effects it asks for.
import type {
  EnrolRequest,
  HeartbeatRequest,
  HeartbeatResponse,
  NodeCapacity,
  ObservedInstance,
  RuntimeKind,
} from "../../contracts/agent-protocol.ts";
import type { Node } from "../../contracts/api.ts";
import type { DesiredDocument, DesiredInstance } from "../../contracts/desired.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import type { Result } from "../../contracts/failures.ts";
import type { AppId, CellName, InstanceId, NodeId, RegionName } from "../../contracts/ids.ts";
import type { Resources } from "../../contracts/release.ts";
import type { Attempt } from "../attempts.ts";
import type { Limits } from "../limits.ts";
import type {
  CellSummary,
  CellToApp,
  CommitRequest,
  ReserveAnswer,
  ReserveRequest,
  UpdateRequest,
} from "../messages.ts";
import type { At, Decision, Durable } from "../step.ts";

// ---- tables ----

/** Key "cell"; made by the first enrolment. */
export interface CellRow {
  readonly cell: CellName;
  readonly region: RegionName;
  readonly createdAtMs: number;
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
}

/** A reservation that was committed. gone: removed from the document, its room is held until the node says it stopped. */
export interface CellInstanceRow {
  readonly desired: DesiredInstance;
  readonly node: NodeId;
  readonly state: { readonly kind: "desired" } | { readonly kind: "gone"; readonly revision: number };
}

export interface ReservationRow {
  readonly key: string;
  readonly app: AppId;
  readonly node: NodeId;
  readonly generation: number;
  readonly ordinal: number;
  readonly resources: Resources;
  readonly untilMs: number;
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
  "messages",
  "events",
] as const satisfies readonly (keyof CellTables)[];

/** Forgotten at a restart; then every node gets a fresh window. windowsFromMs: silence is counted from here at the earliest. */
export interface CellVolatile {
  readonly windowsFromMs: number;
  readonly nodes: ReadonlyMap<NodeId, NodeBeat>;
  readonly attempts: ReadonlyMap<string, Attempt>;
  readonly summary: CellSummary | null;
  /** When this Cell asked to be woken; a later wake than ownLagMs after it means that its own clock cannot be trusted. */
  readonly wakeAtMs: number | null;
}

export interface NodeBeat {
  readonly lastHeartbeatAtMs: number | null;
  readonly ackRevision: number;
  readonly agentVersion: string;
  readonly used: HeartbeatRequest["used"];
  readonly gatewayReady: boolean;
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

// ---- events ----

export interface NodeProof {
  readonly node: NodeId;
  readonly jkt: string;
  readonly boot: string;
  readonly lane: "poll" | "heartbeat" | "ask";
  readonly seq: number;
}

export interface CellInputs {
  enrol: {
    readonly node: NodeId;
    readonly cell: CellName;
    readonly jkt: string;
    readonly request: EnrolRequest;
    readonly operator: string;
  };
  heartbeat: NodeProof & { readonly request: HeartbeatRequest };
  admit: NodeProof & { readonly instance?: InstanceId };
  reserve: ReserveRequest;
  commit: CommitRequest;
  update: UpdateRequest;
  listNodes: Record<never, never>;
  readNode: { readonly node: NodeId };
  summary: Record<never, never>;
  revoke: { readonly node: NodeId; readonly actor: string };
  poke: Record<never, never>;
}

export interface CellReplies {
  enrol: Result<{ revision: number; leaseTtlMs: number }>;
  heartbeat: Result<HeartbeatResponse>;
  admit: Result<{ sealKey: string; team: null; placed?: DesiredInstance | null }>;
  reserve: Result<ReserveAnswer>;
  commit: Result<null>;
  update: Result<null>;
  listNodes: Result<{ items: Node[] }>;
  readNode: Result<Node>;
  summary: Result<CellSummary>;
  revoke: Result<null>;
  poke: Result<{ nextAtMs: number | null }>;
}

export type CellMethod = keyof CellInputs;
export type CellMethodEvent = {
  [Method in CellMethod]: { readonly kind: Method; readonly input: CellInputs[Method] };
}[CellMethod];

/** How effects came out. What never comes out is repeated by itself. */
export type CellOutcome =
  /** The App acknowledged `deliver_messages` up to ackSeq. */
  | { readonly kind: "delivered"; readonly app: AppId; readonly ackSeq: number }
  | { readonly kind: "delivery_failed"; readonly app: AppId; readonly message: string }
  /** `probe_gateway` came back. */
  | { readonly kind: "gateway_probed"; readonly node: NodeId; readonly answered: boolean }
  /** `drain_outbox` came back; lastSeq: what Postgres has of this source. */
  | { readonly kind: "outbox_acked"; readonly lastSeq: number }
  | { readonly kind: "outbox_failed"; readonly message: string }
  /** The alarm, at or after wakeAtMs. One that comes early is harmless. */
  | { readonly kind: "tick" };

export type CellEvent = CellMethodEvent | CellOutcome;
export type CellReply<Kind extends CellEvent["kind"]> = Kind extends CellMethod ? CellReplies[Kind] : null;

// ---- effects ----

export type CellEffect =
  /** Send {revision, desired} to the node's newest poll socket, if it has one. No outcome: heartbeats tell what arrived. */
  | { readonly kind: "wake_node"; readonly node: NodeId; readonly revision: number; readonly desired: DesiredDocument }
  /** Close the node's sockets: it was revoked. No outcome. */
  | { readonly kind: "close_node"; readonly node: NodeId }
  /** App.deliver → delivered | delivery_failed. */
  | {
      readonly kind: "deliver_messages";
      readonly app: AppId;
      readonly cell: CellName;
      readonly messages: readonly CellToApp[];
    }
  /** Region.report. No outcome: it is repeated with every change. */
  | { readonly kind: "report_summary"; readonly region: RegionName; readonly summary: CellSummary }
  /** GatewayProbeRpc.probe → gateway_probed. If it throws, say nothing; it is asked again. */
  | { readonly kind: "probe_gateway"; readonly cell: CellName; readonly node: NodeId; readonly gatewayUrl: string }
  /** Hand these rows to OutboxSinkRpc.accept → outbox_acked | outbox_failed. */
  | { readonly kind: "drain_outbox"; readonly source: string; readonly events: readonly BerthEvent[] };

export type CellDurable = Durable<CellTables>;
export type CellDecision<Kind extends CellEvent["kind"]> = Decision<
  CellTables,
  CellVolatile,
  CellEffect,
  CellReply<Kind>
>;

/**
 * core/cell/step.ts exports `stepCell` of this type; core/cell/volatile.ts exports `emptyCellVolatile(nowMs)`;
 * core/cell/document.ts exports `documentOf(durable, node)`: what a fresh poll socket is told, or null for an unknown node.
 */
export type StepCell = <Event extends CellEvent>(
  durable: CellDurable,
  volatile: CellVolatile,
  event: Event,
  at: At,
  limits: Limits,
) => CellDecision<Event["kind"]>;
