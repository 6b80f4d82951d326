// An agent upgrade as it happens, region after region, until all of it is over, the time is up, or Ctrl-C.
import { setTimeout as sleep } from "node:timers/promises";
import pc from "picocolors";
import { AgentUpgrades, type AgentUpgrade } from "../../contracts/agent-release.ts";
import type { Context } from "../context.ts";
import { shownMs } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { countsText } from "./show-upgrade.ts";

const ASK_MS = 1_000;

/** Resolves with the upgrades of all its regions once the last is completed. Fails when one is stopped, and says why. */
export async function watchUpgrade(context: Context, begun: AgentUpgrade, timeoutMs: number): Promise<AgentUpgrades> {
  const onInterrupt = (): void => {
    context.out.note("\nDetached. The upgrade goes on: `berth nodes upgrade status` shows it.");
    process.exit(EXIT.detached);
  };
  process.once("SIGINT", onInterrupt);
  const untilMs = Date.now() + timeoutMs;
  const told = new Map<string, number>();
  let counted = "";
  try {
    for (;;) {
      const items = await ofAttempt(context, begun.attempt);
      for (const { region, story } of items) {
        for (const { text } of story.slice(told.get(region) ?? 0))
          context.out.line(`${pc.cyan("→")} ${region}: ${text}`);
        told.set(region, story.length);
      }
      const counts = items.map(({ region, counts: of }) => `${region}: ${countsText(of)}`).join("; ");
      if (counts !== counted) context.out.line(pc.dim(`  ${counts}`));
      counted = counts;
      const stopped = items.find(({ state }) => state === "failed" || state === "aborted");
      if (stopped) throw stoppedFailure(stopped);
      if (items.length > 0 && items.every(({ state, next }) => state === "completed" && isLast(items, next)))
        return { items };
      if (Date.now() >= untilMs) {
        const hint = "It goes on: `berth nodes upgrade status` shows it.";
        throw new CommandFailure(`Not done after ${shownMs(timeoutMs)}: ${counts}`, EXIT.unfinished, hint);
      }
      await sleep(ASK_MS);
    }
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}

async function ofAttempt(context: Context, attempt: string): Promise<AgentUpgrade[]> {
  const { items } = await context.api.call(AgentUpgrades, "GET", "/v1/agent-upgrades");
  return items.filter((item) => item.attempt === attempt);
}

/** Whether every region that was to follow has begun. */
const isLast = (items: readonly AgentUpgrade[], next: readonly string[]): boolean =>
  next.every((region) => items.some((item) => item.region === region));

function stoppedFailure({ state, version, fault, region }: AgentUpgrade): CommandFailure {
  if (fault === null) return new CommandFailure(`The upgrade to ${version} was ${state} in ${region}`, EXIT.failed);
  const hint = `Nobody else is told of ${version}. \`berth nodes events ${fault.name}\` tells more.`;
  return new CommandFailure(
    `The upgrade to ${version} stopped in ${region}: ${fault.name} ${fault.why}`,
    EXIT.failed,
    hint,
  );
}
