// A rebalance: its plan as steps with what it gains, and the moves as they are made.
import { setTimeout as sleep } from "node:timers/promises";
import pc from "picocolors";
import { NodeInstance } from "../../contracts/api.ts";
import type { Rebalance } from "../../contracts/api.ts";
import { listAll } from "../commands/list-all.ts";
import type { Context } from "../context.ts";
import { shownMs } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";

const ASK_MS = 1_000;

export function showPlan({ out }: Context, plan: Rebalance): void {
  for (const { cell, message } of plan.unanswered ?? []) out.note(`${cell} is not in this: ${message}`);
  if (plan.steps.length === 0) return out.line(`Nothing to move: ${plan.reason ?? "nothing is to be gained"}.`);
  for (const [index, step] of plan.steps.entries()) {
    out.line(`  ${index + 1}. ${step.appName} ${pc.dim(step.instance)}  ${step.fromName} → ${step.toName}`);
  }
  const percent = (share: number): string => `${Number(share.toFixed(1))} %`;
  out.line(
    `${plan.steps.length} to move; nodes in use ${plan.nodesUsedBefore} → ${plan.nodesUsedAfter}, ` +
      `filled ${percent(plan.utilisationBeforePercent)} → ${percent(plan.utilisationAfterPercent)}`,
  );
  const freed = plan.freed.map(({ name }) => name).join(", ");
  if (freed !== "") out.line(`freed: ${freed}`);
}

/** Until every instance of the plan has left its node. Ends like a drain's watch. */
export async function watchRebalance(context: Context, plan: Rebalance, timeoutMs: number): Promise<void> {
  const onInterrupt = (): void => {
    context.out.note("\nDetached. The rebalance goes on: `berth nodes ls` shows it.");
    process.exit(EXIT.detached);
  };
  process.once("SIGINT", onInterrupt);
  const untilMs = Date.now() + timeoutMs;
  let left = [...plan.steps];
  try {
    for (;;) {
      const still = await instancesOn(context, [...new Set(left.map(({ from }) => from))]);
      for (const step of left) {
        if (!still.has(step.instance)) context.out.line(`  ${pc.green("✓")} ${step.appName} has left ${step.fromName}`);
      }
      left = left.filter(({ instance }) => still.has(instance));
      if (left.length === 0) return;
      if (Date.now() >= untilMs) {
        const names = left.map((step) => `\n  ${step.appName} ${step.instance} on ${step.fromName}`).join("");
        throw new CommandFailure(
          `Not done after ${shownMs(timeoutMs)}; still to move:${names}`,
          EXIT.unfinished,
          "It goes on: `berth nodes show <node>` says what holds it.",
        );
      }
      await sleep(ASK_MS);
    }
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}

async function instancesOn(context: Context, nodes: readonly string[]): Promise<Set<string>> {
  const lists = await Promise.all(nodes.map((node) => listAll(context, NodeInstance, `/v1/nodes/${node}/instances`)));
  return new Set(lists.flat().map(({ id }) => id));
}
