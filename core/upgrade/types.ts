// A region's agent upgrade: its row, the events it is stepped with, and the effects it asks for.
import type { AgentUpgrade, UpgradeFault, UpgradeStage } from "../../contracts/agent-release.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import type { Result } from "../../contracts/failures.ts";
import type { CellName, RegionName } from "../../contracts/ids.ts";
import type { Attempt } from "../attempts.ts";
import type { CellUpgradeRequest, CellUpgradeView } from "../messages.ts";
import type { Decision, Durable } from "../step.ts";

export interface StartUpgrade {
  readonly region: RegionName;
  readonly attempt: string;
  readonly version: string;
  readonly manifest: string;
  readonly actor: string;
  /** Regions that follow, in this order, each once the one before is completed. */
  readonly next: readonly RegionName[];
}

export interface ChangeUpgrade {
  readonly change: "pause" | "resume" | "abort";
  readonly actor: string;
  readonly reason?: string;
}

export type UpgradeState =
  | { readonly kind: "running" }
  | { readonly kind: "paused" }
  | { readonly kind: "failed"; readonly atMs: number; readonly fault: UpgradeFault }
  | { readonly kind: "aborted"; readonly atMs: number }
  | { readonly kind: "completed"; readonly atMs: number };

/** Key "upgrade": the one under way, or the last one. */
export interface UpgradeRow {
  readonly region: RegionName;
  readonly attempt: string;
  readonly version: string;
  readonly manifest: string;
  readonly startedAtMs: number;
  readonly startedBy: string;
  /** Rises with every change of what Cells are told, over all upgrades of the region. */
  readonly seq: number;
  readonly state: UpgradeState;
  readonly stage: UpgradeStage;
  readonly stageSinceMs: number;
  /** In the order in which they come in; that of the first stage is first, once it is found. */
  readonly cells: readonly CellName[];
  /** A cell with a node to begin with was found. */
  readonly begun: boolean;
  /** Cells that have not yet heard of the end. */
  readonly unclosed: readonly CellName[];
  readonly next: readonly RegionName[];
  /** The next region has not yet heard that it is its turn. */
  readonly handOver: boolean;
  readonly story: AgentUpgrade["story"];
}

export interface UpgradeTables {
  readonly upgrade: UpgradeRow;
  /** What each cell last said in this attempt. */
  readonly upgradeViews: CellUpgradeView;
  readonly upgradeCounters: { readonly eventSeq: number; readonly deliveredSeq: number };
  /** Key: seq, zero-padded. */
  readonly upgradeEvents: BerthEvent;
}
export const UPGRADE_TABLE_NAMES = [
  "upgrade",
  "upgradeViews",
  "upgradeCounters",
  "upgradeEvents",
] as const satisfies readonly (keyof UpgradeTables)[];

/** heardAtMs: when each cell last answered. sinceMs: when this object started, which is as good as hearing of all. */
export interface UpgradeVolatile {
  readonly sinceMs: number;
  readonly heardAtMs: ReadonlyMap<CellName, number>;
  readonly attempts: ReadonlyMap<string, Attempt>;
}
export const emptyUpgradeVolatile = (nowMs: number): UpgradeVolatile => ({
  sinceMs: nowMs,
  heardAtMs: new Map(),
  attempts: new Map(),
});

export type UpgradeOutcome =
  | { readonly kind: "cell_told"; readonly cell: CellName; readonly view: CellUpgradeView }
  | { readonly kind: "cell_silent"; readonly cell: CellName; readonly message: string }
  | { readonly kind: "handed_over"; readonly attempt: string; readonly refusal: string | null }
  | { readonly kind: "outbox_acked"; readonly lastSeq: number }
  | { readonly kind: "outbox_failed"; readonly message: string }
  | { readonly kind: "tick" };

export type UpgradeEvent =
  | { readonly kind: "start"; readonly input: StartUpgrade; readonly cells: readonly CellName[] }
  | { readonly kind: "change"; readonly input: ChangeUpgrade }
  | { readonly kind: "read" }
  | { readonly kind: "poke" }
  | UpgradeOutcome;

export interface UpgradeReplies {
  start: Result<AgentUpgrade>;
  change: Result<AgentUpgrade>;
  read: Result<AgentUpgrade | null>;
  poke: Result<{ nextAtMs: number | null }>;
}

export type UpgradeEffect =
  /** Cell.upgrade → cell_told | cell_silent. */
  | { readonly kind: "tell_cell"; readonly cell: CellName; readonly request: CellUpgradeRequest }
  /** Region.startUpgrade of the next region → handed_over. */
  | { readonly kind: "hand_over"; readonly input: StartUpgrade }
  | { readonly kind: "drain_outbox"; readonly source: string; readonly events: readonly BerthEvent[] };

export type UpgradeReply = UpgradeReplies[keyof UpgradeReplies] | null;
export type UpgradeDecision = Decision<UpgradeTables, UpgradeVolatile, UpgradeEffect, UpgradeReply>;
export type UpgradeDurable = Durable<UpgradeTables>;
