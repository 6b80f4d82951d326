// What App and Cell objects say to each other. durable-objects/rpc.ts speaks these same shapes over the wire.
import type { NodeCapacity, ObservedInstance, RuntimeKind } from "../contracts/agent-protocol.ts";
import type { UpgradeCounts, UpgradeFault } from "../contracts/agent-release.ts";
import type { DesiredInstance, DrainSpan } from "../contracts/desired.ts";
import type { Refusal } from "../contracts/failures.ts";
import type { HostPorts } from "../contracts/host-ports.ts";
import type { AppId, CellName, InstanceId, NodeId, RegionName, TeamId } from "../contracts/ids.ts";
import type { PlacementPolicy, Resources, RuntimeClass } from "../contracts/release.ts";

/** Who asks a Cell for a node: what the Worker read off a verified credential and proof. */
export interface NodeProof {
  readonly node: NodeId;
  readonly jkt: string;
  readonly boot: string;
  readonly lane: "poll" | "heartbeat" | "ask" | "socket";
  readonly seq: number;
}

/** What an App asks a Cell to find room for. Ids and generations are the App's; the Cell picks the node. */
export interface ReserveSlot {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly ordinal: number;
  readonly resources: Resources;
  readonly runtimes: readonly RuntimeKind[];
  /** Absent: the default policy. */
  readonly placement?: PlacementPolicy;
  /** The image's digest or the bundle's hash, once known: nodes that have it are preferred among equals. */
  readonly image?: string | null;
  /** Absent: runc, which every node has. */
  readonly runtimeClass?: RuntimeClass;
  /** It is to run once (DesiredInstance.job), which older agents know nothing of: they would start it again and again. */
  readonly job?: boolean;
  /** Nodes that this slot must not go to: it is to leave them, or failed there. */
  readonly avoid?: readonly NodeId[];
  /** The node that it is to go to if it fits there, whatever fits better elsewhere: a rebalance planned that. */
  readonly prefer?: NodeId;
}

/** A node's name and what its DNS records say of it since atMs. */
export interface NodeNaming {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly atMs: number;
}

/** A Cell's part of its region's snapshot. */
export interface CellRoster {
  readonly nodes: readonly { readonly node: NodeId; readonly signKey: string; readonly gatewayUrl: string }[];
  readonly apps: readonly { readonly app: AppId; readonly routeVersion: number }[];
  readonly ports: readonly {
    readonly port: number;
    readonly app: AppId;
    readonly team: TeamId;
    readonly instance: InstanceId;
    readonly generation: number;
    readonly node: NodeId;
  }[];
}

/** Of a node that cannot be reached. relays: to whom it should keep a connection, best first; through: by whom the edge comes. */
export interface RelayAnswer {
  readonly relays: readonly { readonly node: NodeId; readonly name: string; readonly gatewayUrl: string }[];
  readonly through: NodeId | null;
}

export interface Placement {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly node: NodeId;
  readonly nodeName: string;
  readonly failureDomain: string;
  readonly gatewayUrl: string;
}

/** ordinal: whose; a slot's own instance, which it is to replace, does not keep it away. */
export interface Occupied {
  readonly failureDomain: string;
  readonly node: NodeId;
  readonly ordinal?: number;
}

/** Finds room for the slots, all or some, and holds it for leaseMs. The same key gives the same answer. */
export interface ReserveRequest {
  readonly key: string;
  readonly app: AppId;
  /** For awayFrom, which names apps of the same team: whose these are, and how others name this one. */
  readonly team?: TeamId;
  readonly appName?: string;
  readonly leaseMs: number;
  readonly occupied: readonly Occupied[];
  readonly slots: readonly ReserveSlot[];
}

export interface ReserveAnswer {
  readonly placements: Placement[];
  readonly refused: { instance: InstanceId; refusal: Refusal }[];
}

/** All or nothing: every reservation is still held, or the whole commit is refused with `conflict`. */
export interface CommitRequest {
  readonly key: string;
  readonly app: AppId;
  readonly seq: number;
  readonly instances: readonly DesiredInstance[];
  readonly routeVersion: number;
}

/** remove also gives back reservations that were never committed. Commits and updates of one app share one rising seq. */
export interface UpdateRequest {
  readonly key: string;
  readonly app: AppId;
  readonly seq: number;
  readonly drain: readonly InstanceId[];
  /** Of those in `drain`, in the same order. */
  readonly drainSpans?: readonly DrainSpan[];
  /** Called back from their drain. */
  readonly run?: readonly InstanceId[];
  readonly remove: readonly InstanceId[];
  readonly routeVersion: number;
  readonly watch: boolean;
  /** Instances of this cell that are being moved and have not gone yet, and what each waits for. */
  readonly held?: readonly { readonly instance: InstanceId; readonly reason: string }[];
  /** Of `remove`: tell `gone` as soon as these are known not to run any more; at once for those this Cell does not know. */
  readonly confirm?: readonly InstanceId[];
}

/** Cell → App. seq rises by one per (cell, app). */
export type CellToApp =
  | { readonly seq: number; readonly kind: "observed"; readonly node: NodeId; readonly observed: ObservedInstance }
  /** instances: all of a lost or removed node (but for `kept`); of an unreachable one those that it last reported dead. */
  | {
      readonly seq: number;
      readonly kind: "node_gone";
      readonly node: NodeId;
      readonly instances: readonly InstanceId[];
      /** Singletons that may still run there: not routed to, and not replaced until `gone` or another node_gone names them. */
      readonly kept?: readonly InstanceId[];
    }
  | { readonly seq: number; readonly kind: "node_back"; readonly node: NodeId }
  /** The node is silent. Should it be called lost, these are to be replaced: room is held for that, nothing starts yet. */
  | {
      readonly seq: number;
      readonly kind: "node_suspect";
      readonly node: NodeId;
      readonly instances: readonly InstanceId[];
    }
  /** Its gateway is reached at another address from now on. */
  | { readonly seq: number; readonly kind: "node_moved"; readonly node: NodeId; readonly gatewayUrl: string }
  /** Suspect no more, and not lost: it was heard, its gateway answers, or rescheduling is frozen. */
  | { readonly seq: number; readonly kind: "node_cleared"; readonly node: NodeId }
  /**
   * What an update's `confirm` named is known not to run any more: its node said so, was removed, its strict lease ran out
   * (strictReplaceMs), or it never was in a document.
   */
  | { readonly seq: number; readonly kind: "gone"; readonly instances: readonly InstanceId[] }
  /** Move these away from the node, start-first, and say through `update` what holds them. */
  | {
      readonly seq: number;
      readonly kind: "evacuate";
      readonly node: NodeId;
      readonly instances: readonly InstanceId[];
      readonly reason: "drain" | "rebalance";
      /** Where the plan has each of them go, on nodes of the same cell. */
      readonly to?: Readonly<Record<InstanceId, NodeId>>;
    }
  /** The drain was called off: what has no replacement yet stays. */
  | { readonly seq: number; readonly kind: "stay"; readonly node: NodeId }
  /**
   * From a Cell that was made from a backup, after it has listened: all of the app that is in its documents now, in parts, and
   * what is not among them is not here any more.
   */
  | { readonly seq: number; readonly kind: "restored"; readonly present: readonly Present[]; readonly last: boolean };

/** In a node's document, and where that is. observed: null where its node has not been heard yet. */
export interface Present {
  readonly desired: DesiredInstance;
  readonly placement: Placement;
  readonly region: RegionName;
  readonly observed: ObservedInstance | null;
}

/** So many nodes with this much room each: cpuMilli, memory in MiB, disk in MiB, pids, nodes. Rounded down. */
export type Room = readonly [cpuMilli: number, memoryMib: number, diskMib: number, pids: number, nodes: number];

/** Nodes of a cell that only differ in what is free of them, and take placements. */
export interface NodeKind {
  readonly failureDomain: string;
  readonly runtime: RuntimeKind;
  readonly labels: Readonly<Record<string, string>>;
  /** Host ports that are held on each of them. */
  readonly hostPorts: readonly number[];
  /** Host ports that any of them offers. Absent: any port. */
  readonly offeredPorts?: HostPorts;
  /** The agents of all of them know nothing of strict singletons and host ports. */
  readonly agentTooOld?: boolean;
  /** See PlacementNode. */
  readonly classes?: string;
  /** Largest first; the smallest may be left out. */
  readonly rooms: readonly Room[];
}

export interface CellSummary {
  readonly cell: CellName;
  readonly nodes: number;
  readonly readyNodes: number;
  readonly capacity: NodeCapacity;
  readonly free: NodeCapacity;
  readonly largestFree: NodeCapacity;
  readonly runtimes: readonly RuntimeKind[];
  /** By this an App picks the cell where its slots fit best. Absent in what older cells have said. */
  readonly kinds?: readonly NodeKind[];
  readonly atMs: number;
}

/** Region → Cell: bring up to nodesMax nodes (null: all) over to this agent. A lower seq than the last one is a late word. */
export interface CellUpgradeRequest {
  readonly attempt: string;
  readonly seq: number;
  readonly version: string;
  readonly manifest: string;
  /** 0: name no more; what is under way goes on. */
  readonly nodesMax: number | null;
  /** The end of it: what has not changed over stays as it is. */
  readonly closed: boolean;
}

export interface CellUpgradeView {
  readonly attempt: string;
  readonly seq: number;
  readonly counts: UpgradeCounts;
  readonly fault: UpgradeFault | null;
  readonly unable: readonly UpgradeFault[];
}
