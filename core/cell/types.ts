// The events a Cell object is stepped with, what it answers, and the effects it asks for. Its rows: tables.ts.
import type {
  EnrolRequest,
  HeartbeatRequest,
  HeartbeatResponse,
  InstanceCounters,
} from "../../contracts/agent-protocol.ts";
import type { Node, NodeInstance, Rebalance } from "../../contracts/api.ts";
import type { DesiredInstance } from "../../contracts/desired.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import type { Result } from "../../contracts/failures.ts";
import type { AppId, CellName, InstanceId, NodeId, RegionName } from "../../contracts/ids.ts";
import type { Limits } from "../limits.ts";
import type {
  CellRoster,
  CellSummary,
  CellToApp,
  CellUpgradeRequest,
  CellUpgradeView,
  CommitRequest,
  NodeNaming,
  NodeProof,
  RelayAnswer,
  ReserveAnswer,
  ReserveRequest,
  UpdateRequest,
} from "../messages.ts";
import type { At, Decision, Durable } from "../step.ts";
import type { CellTables, CellVolatile } from "./tables.ts";

export * from "./tables.ts";

// ---- events ----

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
  nameNode: { readonly node: NodeId; readonly naming: NodeNaming; readonly gatewayUrl: string | null };
  relay: { readonly node: NodeId; readonly held: readonly NodeId[] };
  reserve: ReserveRequest;
  commit: CommitRequest;
  update: UpdateRequest;
  listNodes: Record<never, never>;
  readNode: { readonly node: NodeId };
  summary: Record<never, never>;
  roster: Record<never, never>;
  cordon: { readonly node: NodeId; readonly actor: string };
  uncordon: { readonly node: NodeId; readonly actor: string };
  drain: { readonly node: NodeId; readonly actor: string };
  remove: { readonly node: NodeId; readonly actor: string; readonly force: boolean };
  nodeInstances: { readonly node: NodeId };
  rebalance: { readonly actor: string; readonly execute: boolean };
  revoke: { readonly node: NodeId; readonly actor: string };
  needSnapshot: { readonly version: number };
  upgrade: CellUpgradeRequest;
  poke: Record<never, never>;
}

export interface CellReplies {
  enrol: Result<{ revision: number; leaseTtlMs: number }>;
  heartbeat: Result<HeartbeatResponse>;
  admit: Result<{ sealKey: string; team: null; placed?: DesiredInstance | null; naming?: NodeNaming | null }>;
  nameNode: Result<null>;
  relay: Result<RelayAnswer>;
  reserve: Result<ReserveAnswer>;
  commit: Result<null>;
  update: Result<null>;
  listNodes: Result<{ items: Node[] }>;
  readNode: Result<Node>;
  summary: Result<CellSummary>;
  roster: Result<CellRoster>;
  cordon: Result<Node>;
  uncordon: Result<Node>;
  drain: Result<Node>;
  remove: Result<Node>;
  nodeInstances: Result<{ items: NodeInstance[] }>;
  rebalance: Result<Rebalance>;
  revoke: Result<null>;
  needSnapshot: Result<null>;
  upgrade: Result<CellUpgradeView>;
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
  /** The Region knows that the node is in this Cell. */
  | { readonly kind: "place_claimed"; readonly node: NodeId }
  /** The Region gave the removed node's place away. */
  | { readonly kind: "place_released"; readonly node: NodeId }
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
  /**
   * Send the node's document, as it is by then (documentOf), to its newest poll socket, if it has one. It is put together only
   * where somebody waits. No outcome: heartbeats tell what arrived.
   */
  | { readonly kind: "wake_node"; readonly node: NodeId; readonly revision: number }
  /** Close the node's sockets: it was revoked. No outcome. */
  | { readonly kind: "close_node"; readonly node: NodeId }
  /** App.deliver → delivered | delivery_failed. ackedSeq: what the App has acknowledged, or never has to hear. */
  | {
      readonly kind: "deliver_messages";
      readonly app: AppId;
      readonly cell: CellName;
      readonly ackedSeq: number;
      readonly messages: readonly CellToApp[];
    }
  /** App.counted, of what nodes told since the last one. No outcome: what is lost here comes again, and more with it. */
  | {
      readonly kind: "tell_counts";
      readonly app: AppId;
      readonly cell: CellName;
      readonly items: readonly InstanceCounters[];
    }
  /** Region.report. No outcome: it is repeated with every change. */
  | { readonly kind: "report_summary"; readonly region: RegionName; readonly summary: CellSummary }
  /** Region.claim → place_claimed. */
  | { readonly kind: "claim_place"; readonly region: RegionName; readonly cell: CellName; readonly node: NodeId }
  /** Region.release → place_released. */
  | { readonly kind: "release_place"; readonly region: RegionName; readonly node: NodeId }
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
