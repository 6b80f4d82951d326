// What happened to an app, as sentences: releases, rollouts, instances, and the route that visitors get.
import pc from "picocolors";
import { z } from "zod";
import { App, Instance, Rollout } from "../../contracts/api.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import { Refusal } from "../../contracts/failures.ts";
import { Release } from "../../contracts/release.ts";
import { judgedText, stepText } from "../rollout-picture.ts";
import { explain, explainRefusal } from "../watch-rollout.ts";

const RouteState = z.object({
  kind: z.string(),
  reason: z.string().optional(),
  releases: z.array(z.object({ version: z.int(), weight: z.int(), endpoints: z.int() })).optional(),
});

const Data = z.object({
  app: App.optional(),
  release: Release.optional(),
  rollout: Rollout.optional(),
  instance: Instance.optional(),
  refusal: Refusal.optional(),
  state: RouteState.optional(),
  version: z.int().optional(),
  from: z.int().optional(),
  to: z.int().optional(),
  cause: z.string().optional(),
  on: z.boolean().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
});
type Data = z.infer<typeof Data>;

export function tellAppEvent(event: BerthEvent): string {
  const parsed = Data.safeParse(event.data);
  const data: Data = parsed.success ? parsed.data : {};
  if (data.instance !== undefined) return tellInstance(event, data.instance, data);
  if (data.rollout !== undefined) return tellRollout(event, data.rollout);
  const by = event.actor === "system" ? "" : ` by ${event.actor}`;
  switch (event.type) {
    case "app.created":
      return `created${by}`;
    case "app.scaled":
      return `scaled from ${data.from ?? "?"} to ${data.to ?? "?"}${by}`;
    case "app.restarted":
      return `restart asked for${by}`;
    case "app.maintenance":
      return pc.yellow(`maintenance ${data.on === true ? "begun" : "ended"}${by}`);
    case "app.environment_changed":
      return `environment changed${by}`;
    case "app.destroyed":
      return pc.red(`destroyed${by}`);
    case "release.created":
      return `release v${data.release?.version ?? "?"} made${by}`;
    case "release.pinned":
      return `v${data.version ?? "?"} is pinned to the digest that its first instance got`;
    case "placement.refused":
      return pc.yellow(`${noRoom(data)}${data.refusal === undefined ? "" : `: ${explainRefusal(data.refusal)}`}`);
    case "route.published":
      return tellRoute(data);
    default: {
      const why = data.message ?? data.reason;
      return `${event.type.replace(".", " ").replaceAll("_", " ")}${why === undefined ? "" : `: ${why}`}`;
    }
  }
}

/** reason: it is only wanted in case, as long as a node is silent. */
const noRoom = ({ reason }: Data): string => (reason === undefined ? "no room" : `no room to hold (${reason})`);

const INSTANCE_WORDS: Partial<Record<BerthEvent["type"], string>> = {
  "instance.reserved": "room is held in case it is needed",
  "instance.placed": "placed",
  "instance.pulling": "pulls its image",
  "instance.starting": "starts",
  "instance.ready": "ready",
  "instance.unready": "no longer ready",
  "instance.restarting": "ended and is started again",
  "instance.failed": "failed",
  "instance.draining": "drains: it serves what still reaches it",
  "instance.stopped": "stopped",
  "instance.ejected": "gets no requests: the edge cannot reach it",
  "instance.restored": "gets requests again",
  "instance.evacuating": "is to move",
};
const COLOURS: Partial<Record<BerthEvent["type"], (text: string) => string>> = {
  "instance.ready": pc.green,
  "instance.restored": pc.green,
  "instance.unready": pc.yellow,
  "instance.restarting": pc.yellow,
  "instance.ejected": pc.yellow,
  "instance.evacuating": pc.cyan,
  "instance.failed": pc.red,
};
const SAYS_WHY = new Set<BerthEvent["type"]>(["instance.unready", "instance.restarting", "instance.failed"]);
/** What an instance is to move for; the last failure is told where it is about the instance itself. */
const ORDERS: Record<string, string> = { drain: "its node is being drained", rebalance: "its node is to be freed" };
const TROUBLES: Record<string, string> = {
  crash_loop: "it keeps ending there",
  pull_failed: "what it runs cannot be fetched there",
  disk_pressure: "its node has no room on its disk",
};

function tellInstance(event: BerthEvent, instance: Instance, data: Data): string {
  const word = INSTANCE_WORDS[event.type] ?? event.type.slice("instance.".length);
  const failure = SAYS_WHY.has(event.type) ? instance.failure?.message : undefined;
  const why =
    failure ?? (event.type === "instance.evacuating" ? whyItMoves(instance, data) : data.message) ?? data.reason;
  const which = `v${instance.version} #${instance.ordinal} on ${instance.nodeName ?? "–"}`;
  return (COLOURS[event.type] ?? String)(`${which} ${word}${why === undefined ? "" : `: ${why}`}`);
}

function whyItMoves({ failure }: Instance, { cause = "" }: Data): string | undefined {
  const trouble = TROUBLES[cause];
  if (trouble === undefined) return ORDERS[cause];
  return failure === null ? trouble : `${trouble} (${failure.message})`;
}

function tellRollout(event: BerthEvent, rollout: Rollout): string {
  const what = `rollout of v${rollout.toVersion}`;
  switch (event.type) {
    case "rollout.started":
      return pc.cyan(`${what} begun (${rollout.reason}, ${rollout.replicas} wanted) by ${rollout.startedBy}`);
    case "rollout.progressed":
      return `${what}: ${rollout.ready} of ${rollout.replicas} ready`;
    case "rollout.verifying":
      return `${what}: every replica is asked through the edge`;
    case "rollout.completed":
      return pc.green(`${what} completed: ${rollout.verified} of ${rollout.replicas} answered`);
    case "rollout.held":
      // Held again because of what somebody said, which is told already.
      return rollout.paused !== null
        ? pc.dim(`${what} stays at ${rollout.step?.weight ?? 0} %`)
        : `${what}: ${stepText(rollout, event.atMs) ?? "held"}`;
    case "rollout.judged":
      return `${what} ${judgedText(rollout) ?? "judged"}`;
    case "rollout.paused":
    case "rollout.resumed":
    case "rollout.promoted":
      return pc.cyan(`${what} ${tellCommand(event, rollout)}`);
    default: {
      const why = rollout.failure === null ? rollout.abortReason : explain(rollout.failure);
      const by =
        event.actor === "system" || !["aborted", "cancelled"].includes(rollout.phase) ? "" : ` by ${event.actor}`;
      return pc.red(`${what} ${rollout.phase}${by}${why === null ? "" : `: ${why}`}`);
    }
  }
}

/** `paused by ada (lunch), at 10 % of the traffic` */
function tellCommand({ type, actor }: BerthEvent, { paused, step }: Rollout): string {
  const why = type === "rollout.paused" && paused?.reason ? ` (${paused.reason})` : "";
  const where = step === null ? "" : `, step ${step.index} of ${step.of} at ${step.weight} %`;
  return `${type.slice("rollout.".length)} by ${actor}${why}${where}`;
}

function tellRoute({ version, state }: Data): string {
  const what = `route ${version ?? "?"}`;
  if (state === undefined) return what;
  if (state.kind !== "serving") return pc.red(`${what}: ${state.kind} (${(state.reason ?? "").replaceAll("_", " ")})`);
  const shares = (state.releases ?? []).map(
    (release) =>
      `v${release.version} ${release.weight} % by ${release.endpoints} instance${release.endpoints === 1 ? "" : "s"}`,
  );
  return pc.dim(`${what}: ${shares.join(", ")}`);
}
