// A region's agent upgrade on the screen: where it is, how many nodes, what stopped it, and its story.
import pc from "picocolors";
import type { AgentUpgrade, UpgradeCounts } from "../../contracts/agent-release.ts";
import type { Context } from "../context.ts";
import { ago, phase } from "../output.ts";

const STAGES: Record<AgentUpgrade["stage"], string> = {
  one_node: "one node",
  one_cell: "one cell",
  ten_percent: "a tenth of the cells",
  all: "all nodes",
};

export function showUpgrade({ out }: Context, upgrade: AgentUpgrade): void {
  const { region, version, state, stage, startedAtMs, startedBy } = upgrade;
  const where = state === "running" || state === "paused" ? `  stage ${STAGES[stage]}` : "";
  out.line(`${pc.bold(`${region} → ${version}`)}  ${phase(state)}${where}`);
  out.line(`begun ${ago(startedAtMs, Date.now())} by ${startedBy}; ${countsText(upgrade.counts)}`);
  if (upgrade.cells.length > 0) out.line(`waits for ${shortList(upgrade.cells)}`);
  if (upgrade.fault !== null) out.line(pc.red(`! ${upgrade.fault.name} ${upgrade.fault.why}`));
  for (const { name, why } of upgrade.unable) out.line(pc.yellow(`- ${name} is passed over: ${why}`));
  for (const { atMs, text } of upgrade.story) out.line(`  ${pc.dim(new Date(atMs).toLocaleTimeString())}  ${text}`);
  if (upgrade.next.length > 0) out.line(pc.dim(`then: ${upgrade.next.join(", ")}`));
}

export function countsText({ nodes, upgraded, had, underWay, waiting, unable, away }: UpgradeCounts): string {
  const parts = [
    `${upgraded} of ${nodes} upgraded`,
    ...(underWay > 0 ? [`${underWay} under way`] : []),
    ...(waiting > 0 ? [`${waiting} to go`] : []),
    ...(had > 0 ? [`${had} had it`] : []),
    ...(unable > 0 ? [`${unable} cannot`] : []),
    ...(away > 0 ? [`${away} away`] : []),
  ];
  return parts.join(", ");
}

function shortList(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more cells` : shown;
}
