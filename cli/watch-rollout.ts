// A rollout as it happens: events as they come, a line per instance that changed, and how it ended.
import pc from "picocolors";
import { z } from "zod";
import { FINAL_ROLLOUT_PHASES, Instance, Rollout as RolloutSchema } from "../contracts/api.ts";
import type { Rollout } from "../contracts/api.ts";
import type { BerthEvent } from "../contracts/events.ts";
import { Refusal } from "../contracts/failures.ts";
import { refusalText } from "../contracts/refusal-text.ts";
import type { RolloutFailure } from "../contracts/failures.ts";
import type { AppId } from "../contracts/ids.ts";
import type { Context } from "./context.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { withNames } from "./actors.ts";
import { judgedText, stepText } from "./rollout-picture.ts";

const FINAL: ReadonlySet<string> = new Set(FINAL_ROLLOUT_PHASES);
/** The state itself is re-read this often, so that a lost event never leaves a watcher hanging. */
const REREAD_MS = 5_000;

/**
 * Follows a rollout to its end and returns it. Ctrl-C detaches (exit 130): the rollout goes on without a watcher.
 */
export async function watchRollout(
  context: Context,
  app: { id: AppId; name: string },
  rollout: Rollout,
): Promise<Rollout> {
  const stop = new AbortController();
  const onInterrupt = (): void => {
    context.out.note(
      `\nDetached. The rollout goes on: \`berth rollout watch ${app.name}\` returns to it, \`berth rollout cancel ${app.name}\` takes it back.`,
    );
    process.exit(EXIT.detached);
  };
  process.once("SIGINT", onInterrupt);
  const path = `/v1/apps/${app.id}/rollouts/${rollout.id}`;
  const read = (): Promise<Rollout> => context.api.call(RolloutSchema, "GET", path);
  const poll = setInterval(() => void endIfFinal(), REREAD_MS);
  async function endIfFinal(): Promise<void> {
    const now = await read().catch(() => null);
    if (now !== null && FINAL.has(now.phase)) stop.abort();
  }
  try {
    await endIfFinal();
    for await (const event of context.api.events(app.id, 0, stop.signal)) {
      if (event.atMs < rollout.startedAtMs) continue;
      const text = describe(event);
      if (text !== null) context.out.line(`  ${await withNames(context, text)}`);
      if (event.subject === rollout.id && FINAL.has(event.type.slice("rollout.".length))) break;
    }
    return await read();
  } finally {
    clearInterval(poll);
    stop.abort();
    process.off("SIGINT", onInterrupt);
  }
}

/** Shows how a rollout ended; a failed one ends the command with exit code 1. */
export function concludeRollout(
  context: Context,
  app: { name: string; url: string },
  rollout: Rollout,
  startedMs: number,
): void {
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  if (rollout.phase === "completed") {
    const where =
      rollout.replicas === 0 ? "scaled to zero" : `${rollout.verified} of ${rollout.replicas} answered at ${app.url}`;
    context.out.result(rollout, () =>
      context.out.line(`${pc.green("✓")} v${rollout.toVersion} is live: ${where} (${seconds} s)`),
    );
    return;
  }
  context.out.result(rollout, () => {});
  const kept = rollout.fromVersion === null ? "" : ` v${rollout.fromVersion} keeps serving.`;
  throw new CommandFailure(
    `v${rollout.toVersion} ${rollout.phase}.${rollout.failure === null ? "" : ` ${explain(rollout.failure)}`}${kept}`,
    EXIT.failed,
    rollout.failure?.kind === "analysis" || rollout.phase === "aborted"
      ? `\`berth rollout show ${app.name}\` shows the numbers.`
      : rollout.phase === "failed"
        ? `\`berth logs ${app.name}\` shows what runs; mend it and \`berth deploy\` again.`
        : null,
  );
}

/** Why a rollout failed, with the node and the last log lines where an instance is the cause. */
export function explain(failure: RolloutFailure): string {
  switch (failure.kind) {
    case "instance": {
      const where = failure.node === null ? "" : ` on ${failure.nodeName ?? failure.node}`;
      const tail = failure.failure.logTail.map((line) => `\n    ${pc.dim("│")} ${line}`).join("");
      return `${failure.failure.message} (${failure.failure.code}${where}).${tail === "" ? "" : ` Its last lines:${tail}\n `}`;
    }
    case "no_capacity":
      return `No node can take it: ${explainRefusal(failure.refusal)}.`;
    case "deadline":
      return `It was not done after ${Math.round(failure.waitedMs / 1000)} s; it waited for ${failure.waitingFor}.`;
    case "verification":
      return `An instance${failure.node === null ? "" : ` on ${failure.nodeName ?? failure.node}`} did not answer through the edge: ${failure.message}.`;
    case "smoke":
      return `An instance${failure.node === null ? "" : ` on ${failure.nodeName ?? failure.node}`} failed the smoke check: ${failure.message}.`;
    case "analysis":
      return `It was judged worse: ${failure.message}.`;
    case "command": {
      const tail = failure.logTail.map((line) => `\n    ${pc.dim("│")} ${line}`).join("");
      return `The command ${failure.which} the release failed: ${failure.message}${tail === "" ? "" : ` Its last lines:${tail}\n `}`;
    }
    case "died":
      return failure.message;
  }
}

export function explainRefusal(refusal: Refusal): string {
  const text = refusalText(refusal);
  return refusal.nodesTotal === 0 ? `${text} (\`berth nodes token\` makes a join token)` : text;
}

/** What the events of an App object carry, as far as a person is told about it. */
const Data = z.object({
  instance: Instance.optional(),
  rollout: RolloutSchema.optional(),
  refusal: Refusal.optional(),
  /** Room is only wanted in case, as long as a node is silent. */
  reason: z.string().optional(),
  /** How many of the release's instances have no room now, and how many it is to have. */
  waiting: z.int().optional(),
  replicas: z.int().optional(),
});

/** One line of progress, or null for events that say nothing new to a person. */
export function describe(event: BerthEvent): string | null {
  const { instance, rollout, refusal, reason, waiting, replicas } = Data.parse(event.data);
  if (instance !== undefined) return describeInstance(event, instance);
  if (event.type === "rollout.started" && rollout !== undefined) {
    return `${pc.cyan("→")} rolling out v${rollout.toVersion}, ${rollout.replicas} instance${rollout.replicas === 1 ? "" : "s"}`;
  }
  if (event.type === "rollout.verifying") return `${pc.cyan("→")} asking every replica through the edge`;
  if (rollout !== undefined) return describeRollout(event, rollout);
  if (event.type === "placement.refused" && refusal !== undefined && reason === undefined) {
    const which = waiting === undefined ? "" : ` for ${waiting} of ${replicas ?? waiting}`;
    return `${pc.yellow("·")} no room${which}: ${explainRefusal(refusal)}`;
  }
  return null;
}

function describeRollout(event: BerthEvent, rollout: Rollout): string | null {
  const step = stepText(rollout, event.atMs);
  switch (event.type) {
    case "rollout.held":
      return `${pc.cyan("→")} ${step ?? "holding"}`;
    case "rollout.paused":
    case "rollout.resumed":
    case "rollout.promoted":
      return `${pc.cyan("→")} ${event.type.slice("rollout.".length)} by ${event.actor}${step === null ? "" : `: ${step}`}`;
    case "rollout.judged":
      return `${pc.cyan("→")} ${judgedText(rollout) ?? "judged"}`;
    default:
      return null;
  }
}

const INSTANCE_COLOURS: Partial<Record<BerthEvent["type"], (text: string) => string>> = {
  "instance.placed": pc.cyan,
  "instance.pulling": pc.cyan,
  "instance.starting": pc.cyan,
  "instance.ready": pc.green,
  "instance.unready": pc.yellow,
  "instance.restarting": pc.red,
  "instance.failed": pc.red,
};

function describeInstance(event: BerthEvent, instance: Instance): string | null {
  const colour = INSTANCE_COLOURS[event.type];
  if (colour === undefined) return null;
  const word = event.type.slice("instance.".length);
  const why = instance.failure === null || event.type === "instance.ready" ? "" : `: ${instance.failure.message}`;
  return `${colour("·")} v${instance.version} #${instance.ordinal} on ${instance.nodeName ?? "–"} ${word}${why}`;
}
