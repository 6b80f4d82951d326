// The App object's tables: one owner's facts, as rows of plain JSON; and the little it may forget.
import type { ObservedStatus } from "../../contracts/agent-protocol.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import type { InstanceFailure, Refusal } from "../../contracts/failures.ts";
import type {
  AppId,
  CellName,
  InstanceId,
  NodeId,
  ProjectId,
  RegionName,
  ReleaseId,
  RolloutId,
  TeamId,
} from "../../contracts/ids.ts";
import type { Release } from "../../contracts/release.ts";
import type { Route } from "../../contracts/route.ts";
import type { Attempt } from "../attempts.ts";
import type { CellSummary, CommitRequest, Placement, ReserveRequest, UpdateRequest } from "../messages.ts";
import type { ReleaseCounters } from "../../contracts/analysis.ts";
import type { RolloutPlan, SmokeCheck } from "../../contracts/rollout-plan.ts";
import type { RolloutRow, Share, Target } from "../rollout/types.ts";
import type { Restoration } from "./restoration.ts";

export type Sealed = string;
export type SealedEnvironment = Readonly<Record<string, Sealed>>;

/** Key "app". phase destroying: instances and hostnames are still being given back. */
export interface AppRow extends Restoration {
  readonly app: AppId;
  readonly team: TeamId;
  readonly project: ProjectId;
  readonly name: string;
  readonly hostnames: readonly string[];
  readonly regions: readonly RegionName[];
  readonly createdAtMs: number;
  readonly phase: "live" | "destroying" | "destroyed";
  /** Wanted before there is a release; afterwards `current` and the rollout carry it. */
  readonly replicas: number;
  /** What serves. null until a first rollout completed. */
  readonly current: Target | null;
  /** What serves beside it; `current` has the rest of the weight. */
  readonly aside?: readonly Share[];
  /** The plan that the last release came with: of what is rolled without one of its own. */
  readonly plan?: RolloutPlan;
  /** Served before the last switch, and kept running for a way back until then. */
  readonly warm?: { readonly target: Target; readonly untilMs: number } | null;
  readonly maintenance?: boolean;
  /** The active rollout. */
  readonly rollout: RolloutId | null;
  /** The newest grant of its team's quota that it knows of. */
  readonly grantVersion?: number;
}

/** Key "counters". Each only rises. deliveredSeq: events that Postgres has. */
export interface AppCounters {
  readonly eventSeq: number;
  readonly deliveredSeq: number;
  readonly prunedSeq: number;
  readonly releaseVersion: number;
  readonly callSeq: number;
}

export interface ReleaseRow {
  readonly release: Release;
  readonly privateImage: boolean;
  /** Whether a rollout to it ever completed: what a plain rollback may go to. */
  readonly completed: boolean;
  /** Whether its command before it, if it has one, ended well. Absent: it has none, or did long ago. */
  readonly prepared?: boolean;
  /** What it was refused by, and has not passed since. */
  readonly rejected?: { readonly by: "smoke" | "analysis"; readonly message: string } | null;
  /** What it came with. */
  readonly smoke?: SmokeCheck;
  /** What served when that was so for the first time; null where nothing did. */
  readonly after?: ReleaseId | null;
}

/** Of one slot (key `<release>/<ordinal>`; `app/0` for a singleton's): the last generation given out, and how often its instances failed for good in a row. */
export interface SlotRow {
  readonly generation: number;
  readonly failures: number;
  readonly notBeforeMs: number;
  /** Where its instances failed lately: avoided while there is room elsewhere. */
  readonly failedOn?: readonly { readonly node: NodeId; readonly atMs: number }[];
}

/**
 * placing: asks cells for room. committing: holds a reservation. running: in a node's document. draining: out of the route,
 * serving what still reaches it until untilMs. stopping: removed from the document, not yet acknowledged; with toldAtMs the Cell
 * has taken it, and a singleton waits until it is known not to run. ended: final.
 */
export type InstancePhase =
  | {
      readonly kind: "placing";
      readonly refused: readonly CellName[];
      /** Of the app's regions, in this round of asking. */
      readonly regionsTried?: readonly RegionName[];
      readonly refusal: Refusal | null;
      readonly refusedSinceMs: number | null;
      readonly retryAtMs: number;
      readonly tries: number;
    }
  | { readonly kind: "committing"; readonly sinceMs: number }
  | { readonly kind: "running"; readonly sinceMs: number }
  | { readonly kind: "draining"; readonly sinceMs: number; readonly untilMs: number; readonly told: boolean }
  | {
      readonly kind: "stopping";
      readonly sinceMs: number;
      readonly as: InstanceEnd;
      readonly toldAtMs?: number;
    }
  | { readonly kind: "ended"; readonly atMs: number; readonly as: InstanceEnd };
export type InstanceEnd = "stopped" | "failed" | "lost";

/** drain, rebalance: an operator's word, told through its Cell. The others: it does not do well where it is. */
export interface Leaving {
  readonly cause: "drain" | "rebalance" | "crash_loop" | "pull_failed" | "disk_pressure";
  readonly sinceMs: number;
  /** Of a rebalance: the node of the same cell that it is planned to go to. */
  readonly to?: NodeId;
}

/** Where an instance comes from, as far as that says where its replacement looks for room first (origins.ts). */
export type Origin =
  | { readonly kind: "lost"; readonly cell: CellName; readonly failureDomain: string }
  | { readonly kind: "rebalance"; readonly cell: CellName; readonly to: NodeId | null };

export interface InstanceRow {
  readonly id: InstanceId;
  readonly release: ReleaseId;
  readonly version: number;
  readonly ordinal: number;
  readonly generation: number;
  readonly cohort: string;
  readonly region: RegionName;
  readonly cell: CellName | null;
  readonly placement: Placement | null;
  readonly phase: InstancePhase;
  /** The node's last word; null when there is none or it can no longer be believed. */
  readonly observed: ObservedStatus | null;
  readonly nodeGone: boolean;
  /** With nodeGone: a singleton that may still run there, so that nothing replaces it. */
  readonly kept?: boolean;
  /** Known not to run any more, whatever its phase. */
  readonly gone?: boolean;
  /** Its node is silent: room for a replacement is held elsewhere, which starts only once the node is called lost. */
  readonly suspect?: boolean;
  /** Whom it is to replace if that one's node is lost. Null once it is to start. */
  readonly standsInFor?: InstanceId | null;
  /** Of whom it replaces. Absent: it looks wherever it fits best. */
  readonly origin?: Origin | null;
  /** It serves until a replacement elsewhere can; then it is retired. */
  readonly leaving?: Leaving | null;
  /** A one-off instance: it runs a command of its rollout, and is no slot's. */
  readonly job?: { readonly rollout: RolloutId; readonly which: "before" | "after" } | null;
  /** Called back from its drain, which its Cell has not heard yet. */
  readonly recalled?: boolean;
  /** Nodes it must not be placed on; and those it need not be placed on if there is room elsewhere. */
  readonly avoid?: readonly NodeId[];
  readonly avoidAtFirst?: readonly NodeId[];
  readonly restarts: number;
  readonly crashes: number;
  /** Crashes since it last ran ready for replaceResetMs, since when it has been ready, and whether it ever was for so long. */
  readonly loopCrashes?: number;
  readonly readySinceMs?: number | null;
  readonly ranWell?: boolean;
  readonly failure: InstanceFailure | null;
  /** Whether a route ever named it: then it must drain before it may stop. */
  readonly routed: boolean;
  readonly createdAtMs: number;
  readonly startedAtMs: number | null;
  readonly readyAtMs: number | null;
}

export type PlacingRow = InstanceRow & { readonly phase: Extract<InstancePhase, { kind: "placing" }> };

/** What this App and one Cell have told each other (key: cell name). A row is never removed, because seqs only rise. */
export interface CellLinkRow {
  /** Last message taken from the Cell. */
  readonly inSeq: number;
  /** Last commit or update sent. */
  readonly outSeq: number;
  readonly routeVersionTold: number;
  readonly routeToldAtMs: number;
  /** Whether it was last told to have requests counted. Absent in rows of older versions: nobody knows. */
  readonly watchTold?: boolean;
  /** What it was last told of those that are to leave its nodes (JSON of `held`). */
  readonly heldTold?: string;
  readonly heldToldAtMs?: number;
  /** Instances that it has and this App no longer knows: to be removed with the next update. */
  readonly strangers?: readonly InstanceId[];
  /** The commit or update that is out (key in `calls`); one at a time, so that their order holds. */
  readonly openCall: string | null;
}

/** A call to a Cell, kept until it is answered; repeated with the same key and body. */
export interface CallRow {
  readonly cell: CellName;
  readonly call: CellCall;
}
export type CellCall =
  | { readonly kind: "reserve"; readonly request: ReserveRequest }
  | { readonly kind: "commit"; readonly request: CommitRequest }
  | { readonly kind: "update"; readonly request: UpdateRequest };

/** Key "route". publishedVersion: what KV has. */
export interface RouteRow {
  readonly route: Route;
  readonly publishedVersion: number;
  readonly publishedAtMs: number;
}

/**
 * Key: an instance that is ready, and that an edge reported. suspect: a second opinion is being asked for. ejected: that could
 * not reach it either. cleared: it answered; reports before untilMs are not believed, longer with each false alarm.
 */
export interface HealthRow {
  readonly generation: number;
  readonly cause: "connect" | "gateway_5xx";
  readonly alarms: number;
  /** Whether the route leaves it out. */
  readonly out: boolean;
  readonly phase:
    | { readonly kind: "suspect"; readonly sinceMs: number }
    | { readonly kind: "ejected"; readonly sinceMs: number; readonly message: string }
    | { readonly kind: "cleared"; readonly untilMs: number };
}

export interface HostRow {
  readonly state: "claiming" | "claimed" | "refused" | "releasing";
}

export interface RegionRow {
  readonly cells: readonly CellSummary[];
  readonly atMs: number;
}

export interface IdempotencyRow {
  readonly method: string;
  readonly fingerprint: string;
  readonly reply: unknown;
  readonly atMs: number;
}

export interface AppTables {
  readonly app: AppRow;
  readonly counters: AppCounters;
  readonly releases: ReleaseRow;
  /** Key: release id, or "draft" for what the next release will carry, or "refs:" and a release id (references.ts). */
  readonly environments: SealedEnvironment;
  readonly slots: SlotRow;
  readonly rollouts: RolloutRow;
  readonly instances: InstanceRow;
  readonly cells: CellLinkRow;
  readonly calls: CallRow;
  readonly route: RouteRow;
  readonly health: HealthRow;
  readonly hosts: HostRow;
  readonly regions: RegionRow;
  /** Key: seq, zero-padded to 16 digits. */
  readonly events: BerthEvent;
  readonly idempotency: IdempotencyRow;
}
export const APP_TABLE_NAMES = [
  "app",
  "counters",
  "releases",
  "environments",
  "slots",
  "rollouts",
  "instances",
  "cells",
  "calls",
  "route",
  "health",
  "hosts",
  "regions",
  "events",
  "idempotency",
] as const satisfies readonly (keyof AppTables)[];

/** Forgotten at a restart. attempts: which effects are out, and when each is repeated; without an entry it is due now. */
export interface AppVolatile {
  readonly attempts: ReadonlyMap<string, Attempt>;
  /** What the last step that looked at everything answered as wakeAtMs; "unknown" before there was one. */
  readonly wakeAtMs: number | null | "unknown";
  /** The rollout for which it was read: what came between two is nobody's. */
  readonly countedFor?: RolloutId | undefined;
  /** Per instance what its gateway last counted in all; per release what came since its rollout was last judged. */
  readonly readings?: ReadonlyMap<string, Reading>;
  readonly uncounted?: ReadonlyMap<ReleaseId, ReleaseCounters>;
}
export interface Reading {
  readonly generation: number;
  readonly counters: ReleaseCounters;
}
