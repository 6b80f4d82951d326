// What an App that was made from a backup remembers of that, until it is an App like any other. Absent: it was not.
import type { CellName, InstanceId, ReleaseId } from "../../contracts/ids.ts";

export interface Restoration {
  /** It does nothing before these Cells have said what really runs, or untilMs. seen: of the one that is telling just now. */
  readonly restoring?: {
    readonly cells: readonly CellName[];
    readonly untilMs: number;
    readonly seen: readonly InstanceId[];
  } | null;
  /** Instances of releases that are not in the backup: they run on while this is what serves. */
  readonly foreign?: {
    readonly current: ReleaseId | null;
    readonly items: readonly { readonly cell: CellName; readonly instance: InstanceId }[];
  } | null;
  /** Edges keep the route they have until this App's own serves in full. */
  readonly routeHeld?: boolean;
}
