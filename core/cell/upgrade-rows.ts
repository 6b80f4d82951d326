// The Cell's rows of an agent upgrade.
import type { InstanceId } from "../../contracts/ids.ts";
import type { CellUpgradeRequest } from "../messages.ts";

/** The Region's last word on the agents of this cell. Key: "upgrade". */
export type CellUpgradeRow = CellUpgradeRequest;

/** A node in the present attempt. ready: the instances that were ready when its document named the new agent. Key: node. */
export interface NodeUpgradeRow {
  readonly state:
    | { readonly kind: "named"; readonly sinceMs: number; readonly ready: readonly InstanceId[] }
    | {
        readonly kind: "heard";
        readonly sinceMs: number;
        readonly heardAtMs: number;
        readonly ready: readonly InstanceId[];
      }
    | { readonly kind: "done"; readonly atMs: number }
    | { readonly kind: "failed"; readonly atMs: number; readonly why: string };
}
