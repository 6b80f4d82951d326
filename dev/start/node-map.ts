// The live map of the nodes in the terminal: racks, their nodes, what runs on them. Redrawn on a TTY, printed once otherwise.
import { setTimeout as sleep } from "node:timers/promises";
import pc from "picocolors";
import { listNodes, type Node } from "../stack/operator.ts";
import type { Stack } from "../stack.ts";

const REFRESH_MS = 1_000;
const MIB = 1024 * 1024;

/** Until the signal aborts. */
export async function followNodes(stack: Stack, signal: AbortSignal): Promise<void> {
  let drawnLines = 0;
  for (;;) {
    const lines = await currentLines(stack);
    if (signal.aborted) return;
    const isTty = process.stdout.isTTY === true;
    if (isTty && drawnLines > 0) process.stdout.write(`\x1b[${drawnLines}A\x1b[J`);
    if (isTty || drawnLines === 0) {
      process.stdout.write(`${lines.join("\n")}\n`);
      drawnLines = lines.length;
    }
    await sleep(REFRESH_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
  }
}

async function currentLines(stack: Stack): Promise<string[]> {
  try {
    return drawNodes(await listNodes(stack.controlUrl, stack.operator.token));
  } catch (error) {
    return [
      pc.yellow(`  the API does not answer (${(error as Error).message.split("\n")[0]}); apps are served all the same`),
    ];
  }
}

/** One line per node, ordered by rack; exported for the test. */
export function drawNodes(nodes: readonly Node[]): string[] {
  if (nodes.length === 0) return ["  no nodes yet"];
  const sorted = [...nodes].sort(
    (a, b) => a.failureDomain.localeCompare(b.failureDomain) || a.name.localeCompare(b.name),
  );
  const width = Math.max(...sorted.map(({ name }) => name.length));
  const lines: string[] = [];
  let rack = "";
  for (const node of sorted) {
    const label = node.failureDomain === rack ? "" : node.failureDomain;
    rack = node.failureDomain;
    const memory = `${Math.round(node.reserved.memoryBytes / MIB)}/${Math.round(node.capacity.memoryBytes / MIB)} MiB`;
    const boxes = "▪".repeat(Math.min(node.instances, 20)) + (node.instances > 20 ? "…" : "");
    lines.push(
      `  ${pc.dim(label.padEnd(10))} ${paint(node)} ${node.name.padEnd(width)}  ${node.phase.padEnd(11)} ${memory.padStart(18)}  ${pc.cyan(boxes)} ${node.instances}`,
    );
  }
  return lines;
}

function paint({ phase, cordoned }: Node): string {
  if (phase === "ready") return cordoned ? pc.yellow("◐") : pc.green("●");
  return phase === "lost" || phase === "removed" ? pc.red("○") : pc.yellow("●");
}
