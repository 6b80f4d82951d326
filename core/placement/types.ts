// What placement decides about, and what it answers.
import type { NodeCapacity, RuntimeKind } from "../../contracts/agent-protocol.ts";
import type { Refusal } from "../../contracts/failures.ts";
import type { HostPorts } from "../../contracts/host-ports.ts";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import type { Resources } from "../../contracts/release.ts";
import type { Occupied, ReserveSlot } from "../messages.ts";
import type { Shunned } from "./neighbours.ts";

/**
 * A node as placement sees it. Immutable: what changes is a new object, and parts that did not change stay the same objects
 * (a pool compares them by identity).
 */
export interface PlacementNode {
  readonly id: NodeId;
  readonly failureDomain: string;
  readonly runtime: RuntimeKind;
  readonly labels: Readonly<Record<string, string>>;
  /** Why it takes nothing now, whatever its room. null: it takes what fits. */
  readonly closed: ClosedReason | null;
  readonly capacity: NodeCapacity;
  /** capacity minus everything reserved, in flight or still stopping. */
  readonly free: NodeCapacity;
  /** Host ports that something on it holds. */
  readonly hostPorts: readonly number[];
  /** Which ones it gives to instances at all. Absent: any. */
  readonly offeredPorts?: HostPorts;
  /** What is on it, by `<team>/<app's name>` (awayFromKey). */
  readonly apps: ReadonlySet<string>;
  /** Whom these stay away from. Absent: nobody. */
  readonly shunned?: Shunned;
  /** Digests and bundle hashes that it need not pull. */
  readonly images: ReadonlySet<string>;
  /** Its agent knows nothing of strict singletons and host ports. */
  readonly agentTooOld?: boolean;
  /** Classes of runtimes that it has beside runc, as words. Absent: none. */
  readonly classes?: string;
}

/** draining goes before cordoned, which goes before not_ready: the operator's word is the better reason. */
export type ClosedReason = "draining" | "cordoned" | "not_ready";

export interface PlacementRequest {
  readonly slots: readonly ReserveSlot[];
  /** Where the app's instances are that count for spread and anti-affinity, in whatever cell. */
  readonly occupied: readonly Occupied[];
  /** Whose awayFrom names are meant, and who they are to others. Absent: the slots name none, and nobody names them. */
  readonly team?: string;
  readonly appName?: string;
  /** How many more instances the cell may hold; slots beyond it are refused with cell_full. Absent: no limit. */
  readonly slotsMax?: number;
  /** Nobody will read why a slot was refused: looking at every node for it is spared. */
  readonly unexplained?: boolean;
}

export interface PlacementDecision {
  readonly placements: readonly { readonly slot: ReserveSlot; readonly node: NodeId }[];
  readonly refusals: readonly { readonly instance: InstanceId; readonly refusal: Refusal }[];
}

export type ConstraintName = Refusal["constraints"][number]["constraint"];

export const NONE: ReadonlySet<string> = new Set();
export const awayFromKey = (team: string, appName: string): string => `${team}/${appName}`;

/**
 * Nodes under placement, kept in step with their owner's rows by `update`; each call costs what changed, not the fleet.
 * `place` decides and changes nothing: its answer depends on the nodes, the request and the pool's seed alone, never on the
 * order or history of updates. The owner then tells what became of it by `update`.
 */
export interface Pool<Node extends PlacementNode = PlacementNode> {
  readonly nodesTotal: number;
  /** Adds the node, or replaces what is known of it. Nothing to do for the object it has already. */
  update(node: Node): void;
  remove(id: NodeId): void;
  /** As its owner told it last. */
  nodeOf(id: NodeId): Node | undefined;
  /** As it is now. */
  get(id: NodeId): PlacementNode | undefined;
  /** Only the room of a node changed: something came, or went. Cheaper than an update. Throws for a node that is not here. */
  take(id: NodeId, resources: Resources): void;
  give(id: NodeId, resources: Resources): void;
  place(request: PlacementRequest): PlacementDecision;
}
