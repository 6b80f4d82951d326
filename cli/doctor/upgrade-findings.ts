// What doctor says of upgrades of agents: one that stopped itself, with node and reason.
import type { AgentUpgrade } from "../../contracts/agent-release.ts";
import { fault, fine, type Finding } from "./finding.ts";

export function upgradeFindings({
  region,
  version,
  state,
  stage,
  fault: why,
}: Pick<AgentUpgrade, "region" | "version" | "state" | "stage" | "fault">): Finding[] {
  const check = `agents in ${region}`;
  switch (state) {
    case "failed":
      return [
        fault(
          check,
          `the upgrade to ${version} stopped in stage ${stage}${why === null ? "" : `: ${why.name} ${why.why}`}`,
          "berth nodes upgrade status",
        ),
      ];
    case "running":
    case "paused":
      return [fine(check, `${version} is on its way${state === "paused" ? ", paused" : ""}, in stage ${stage}`)];
    case "aborted":
    case "completed":
      return [];
  }
}
