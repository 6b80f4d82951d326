// rollout: show the one that is under way or was last, and say to it what to do.
import { Command } from "@commander-js/extra-typings";
import pc from "picocolors";
import { App, FINAL_ROLLOUT_PHASES, page, Rollout } from "../../contracts/api.ts";
import { ROLLOUT_COMMANDS, type RolloutCommand } from "../../contracts/rollout-plan.ts";
import { withNames } from "../actors.ts";
import type { Context } from "../context.ts";
import { shownMs } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { ago, phase } from "../output.ts";
import { stepText, verdictLines, weightLines } from "../rollout-picture.ts";
import { concludeRollout, explain, watchRollout } from "../watch-rollout.ts";
import { appNameOf, appPath, contextOf } from "./run.ts";

const WHAT: Record<RolloutCommand, string> = {
  pause: "hold it where it is; its deadline goes on",
  resume: "let a paused one go on",
  promote: "end the present hold: the next step, or the switch",
  abort: "take it back, because the release is bad",
  cancel: "take it back, because you changed your mind",
};

export function rolloutCommand() {
  const rollout = new Command("rollout").description("watch a rollout and command it");
  rollout
    .command("show")
    .description("how far it is, who serves how much, and what the judge says")
    .argument("[app]")
    .action(async (named, _options, command) => {
      const context = contextOf(command);
      const latest = await latestOf(context, appNameOf(context, named));
      await show(context, latest);
    });
  rollout
    .command("watch")
    .description("follow it to its end")
    .argument("[app]")
    .action(async (named, _options, command) => {
      const context = contextOf(command);
      const startedMs = Date.now();
      const app = await context.api.call(App, "GET", appPath(appNameOf(context, named)));
      concludeRollout(context, app, await watchRollout(context, app, await latestOf(context, app.name)), startedMs);
    });
  rollout
    .command("ls")
    .description("the app's rollouts, the newest first")
    .argument("[app]")
    .action(async (named, _options, command) => {
      const context = contextOf(command);
      const path = appPath(appNameOf(context, named), "/rollouts?limit=50");
      const { items } = await context.api.call(page(Rollout), "GET", path);
      const shown = await Promise.all(
        items.map(async (item) => ({ ...item, startedBy: await withNames(context, item.startedBy) })),
      );
      context.out.result(items, () => list(context, shown));
    });
  for (const name of ROLLOUT_COMMANDS) {
    const told = rollout.command(name).description(WHAT[name]).argument("[app]");
    // Who pauses or aborts leaves a note to the others; what goes on, or was a mistake, explains itself.
    if (name === "pause" || name === "abort") told.option("--reason <text>", "shown with the rollout");
    if (name === "promote")
      told.option("--full", "all that is left of its plan at once; its instances and commands still have to pass");
    told.action(async (named, { reason, full }: { reason?: string; full?: boolean }, command) => {
      const context = contextOf(command);
      const app = appNameOf(context, named);
      const before = await latestOf(context, app);
      if (before.endedAtMs !== null)
        throw new CommandFailure(
          `There is nothing to ${name}: the last rollout of ${app} (${versions(before)}) ${ended(before)}.`,
          EXIT.failed,
        );
      const path = appPath(app, `/rollouts/${before.id}/${name}`);
      const body = { ...(reason === undefined ? {} : { reason }), ...(full === true ? { full } : {}) };
      const after = await context.api.call(Rollout, "POST", path, body);
      await show(context, after);
    });
  }
  return rollout;
}

async function latestOf(context: Context, app: string): Promise<Rollout> {
  const { items } = await context.api.call(page(Rollout), "GET", appPath(app, "/rollouts?limit=1"));
  const [latest] = items;
  if (latest === undefined)
    throw new CommandFailure(`${app} was never rolled out`, EXIT.notFound, "`berth deploy` does.");
  return latest;
}

const ended = ({ phase: how, endedAtMs }: Rollout): string => {
  const was = how === "completed" || how === "failed" ? how : `was ${how}`;
  return endedAtMs === null ? was : `${was} ${ago(endedAtMs, Date.now())}`;
};

const versions = ({ fromVersion, toVersion }: Rollout): string =>
  fromVersion === null ? `v${toVersion}` : `v${fromVersion} → v${toVersion}`;

async function show(context: Context, rollout: Rollout): Promise<void> {
  const { out } = context;
  if (out.json) return out.result(rollout, () => {});
  out.line(await withNames(context, linesOf(rollout).join("\n")));
}

function linesOf(rollout: Rollout): string[] {
  const nowMs = Date.now();
  const { strategy, reason, failure, waitingFor, abortReason, paused, endedAtMs } = rollout;
  const isOver = (FINAL_ROLLOUT_PHASES as readonly string[]).includes(rollout.phase);
  const left = isOver
    ? `took ${shownMs((endedAtMs ?? nowMs) - rollout.startedAtMs)}`
    : `ends within ${shownMs(Math.max(0, rollout.deadlineAtMs - nowMs))}`;
  const lines = [
    `${pc.bold(versions(rollout))}  ${strategy.replace("_", "-")} (${reason})  ${phase(paused === null ? rollout.phase : "paused")}`,
    `started ${ago(rollout.startedAtMs, nowMs)} by ${rollout.startedBy}, ${left}; ${rollout.ready} of ${rollout.replicas} ready, ${rollout.verified} verified`,
  ];
  const step = isOver ? null : stepText(rollout, nowMs);
  if (step !== null) lines.push(step);
  // Who paused it is said with the step.
  if (waitingFor !== null && paused === null) lines.push(`waiting for ${waitingFor}`);
  lines.push(...weightLines(rollout), ...verdictLines(rollout));
  if (abortReason !== null) lines.push(`aborted: ${abortReason}`);
  if (failure !== null) lines.push(pc.red(explain(failure)));
  if (["failed", "aborted", "cancelled"].includes(rollout.phase) && rollout.fromVersion !== null)
    lines.push(`v${rollout.fromVersion} serves as before.`);
  return lines;
}

function list({ out }: Context, items: readonly Rollout[]): void {
  out.table(
    ["ROLLOUT", "VERSIONS", "STRATEGY", "REASON", "PHASE", "STARTED", "BY"],
    items.map((rollout) => [
      rollout.id,
      versions(rollout),
      rollout.strategy.replace("_", "-"),
      rollout.reason,
      phase(rollout.phase),
      ago(rollout.startedAtMs, Date.now()),
      rollout.startedBy,
    ]),
  );
}
