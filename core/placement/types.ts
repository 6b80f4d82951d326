// What placement decides about, and what it answers.
import type { NodeCapacity, RuntimeKind } from "../../contracts/agent-protocol.ts";
import type { Refusal } from "../../contracts/failures.ts";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import type { Occupied, ReserveSlot } from "../messages.ts";

export interface PlacementNode {
  readonly id: NodeId;
  readonly failureDomain: string;
  readonly runtime: RuntimeKind;
  /** Whether the node may take placements now: it is believed in and its gateway serves. */
  readonly ready: boolean;
  readonly cordoned: boolean;
  readonly capacity: NodeCapacity;
  /** capacity minus everything reserved, in flight or still stopping. */
  readonly free: NodeCapacity;
}

export interface PlacementRequest {
  readonly slots: readonly ReserveSlot[];
  readonly occupied: readonly Occupied[];
}

export interface PlacementDecision {
  readonly placements: readonly { readonly slot: ReserveSlot; readonly node: NodeId }[];
  readonly refusals: readonly { readonly instance: InstanceId; readonly refusal: Refusal }[];
}

export type ConstraintName = Refusal["constraints"][number]["constraint"];
