// A refusal in words, the same wherever a person reads it: events, what holds a drain, the API, the command line.
import type { Refusal } from "./failures.ts";

/** `of 3 nodes, 2 excluded by memory (512 MiB missing on the nearest), 1 excluded by labels (disk=nvme)`. */
export function refusalText({ nodesTotal, constraints, impossible }: Refusal): string {
  const region = constraints.find(({ constraint }) => constraint === "region");
  if (nodesTotal === 0 && region?.wanted) return `no node was ever enrolled in region ${region.wanted}`;
  if (nodesTotal === 0) return "there are no nodes";
  const parts = constraints.map((entry) => `${entry.nodesExcluded} excluded by ${entry.constraint}${detailOf(entry)}`);
  const never = impossible ? "; no node could take it even if it were empty" : "";
  return `of ${nodesTotal} node${nodesTotal === 1 ? "" : "s"}, ${parts.join(", ")}${never}`;
}

function detailOf({ constraint, missing, wanted, detail }: Refusal["constraints"][number]): string {
  if (constraint === "agent") return ` (too old for ${wanted ?? "this"}: it has to be upgraded)`;
  if (detail || wanted) return ` (${detail || wanted})`;
  return missing === null ? "" : ` (${amountOf(constraint, missing)} missing on the nearest)`;
}

/** Rounded up: what is said to be missing is enough. */
function amountOf(constraint: Refusal["constraints"][number]["constraint"], amount: number): string {
  if (constraint === "cpu") return `${amount} m`;
  if (constraint !== "memory" && constraint !== "disk") return String(amount);
  return amount < 1024 ** 2 ? `${amount} B` : `${Math.ceil(amount / 1024 ** 2)} MiB`;
}
