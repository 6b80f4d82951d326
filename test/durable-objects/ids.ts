// Ids that the objects' tests share. Fixed, so that a failure reads the same every time.
import type { AppId, NodeId, ProjectId, TeamId } from "../../contracts/ids.ts";

export const APP_A = "app_01jzzzzzzze0a0000000000001" as AppId;
export const APP_B = "app_01jzzzzzzze0a0000000000002" as AppId;
export const TEAM_A = "team_01jzzzzzzze0a0000000000001" as TeamId;
export const PROJECT_A = "proj_01jzzzzzzze0a0000000000001" as ProjectId;

/** The n-th node's id, n from 0 to 999. */
export const nodeId = (n: number): NodeId => `node_01jzzzzzzze0a0000000000${String(n).padStart(3, "0")}` as NodeId;
