// What happened to a node, as sentences.
import pc from "picocolors";
import { z } from "zod";
import type { BerthEvent } from "../../contracts/events.ts";
import { shownMs } from "../duration.ts";

/** What a Cell's events carry, as far as a person is told about it. Newer Cells may say more. */
const Data = z.object({
  name: z.string().optional(),
  silentMs: z.number().optional(),
  from: z.string().optional(),
  version: z.string().optional(),
  kind: z.string().optional(),
  message: z.string().optional(),
  reason: z.string().optional(),
  instance: z.string().nullish(),
  lastedMs: z.number().optional(),
  frozenMs: z.number().optional(),
  tookMs: z.number().optional(),
  moved: z.number().optional(),
  remaining: z.number().optional(),
  steps: z.number().optional(),
  state: z.string().optional(),
  forced: z.boolean().optional(),
});
type Data = z.infer<typeof Data>;

const RETURNED_FROM: Record<string, string> = {
  suspect: "is heard again",
  unreachable: "is heard again: its agent answers",
  lost: "is back: it stops what is no longer its own before any of it gets traffic",
};

/** Null where it is not about a node. */
export function tellNodeEvent(event: BerthEvent): string | null {
  const parsed = Data.safeParse(event.data);
  const data: Data = parsed.success ? parsed.data : {};
  const by = event.actor === "system" || event.actor.startsWith("node:") ? "" : ` by ${event.actor}`;
  const why = data.message ?? data.reason;
  const because = why === undefined ? "" : `: ${why}`;
  switch (event.type) {
    case "node.enrolled":
      return pc.cyan(`enrolled${by}`);
    case "node.ready":
      return pc.green("ready: it takes placements");
    case "node.suspect": {
      const silent = data.silentMs === undefined ? "" : ` for ${shownMs(data.silentMs)}`;
      return pc.yellow(`silent${silent}: suspect, its gateway is asked for a second opinion`);
    }
    case "node.unreachable":
      return pc.yellow("its gateway answers, its agent does not: unreachable; it serves on and takes no placements");
    case "node.lost":
      return pc.red("neither agent nor gateway answers: lost; what ran there is replaced elsewhere");
    case "node.returned":
      return pc.green(RETURNED_FROM[data.from ?? ""] ?? "is back");
    case "node.revoked":
      return pc.red(`revoked${by}: its credential is refused from now on`);
    case "node.removed":
      return pc.red(`removed${by}${data.forced === true ? ", although something ran there" : ""}${because}`);
    case "node.cordoned":
      return pc.yellow(`cordoned${by}: nothing new is placed there`);
    case "node.uncordoned":
      return pc.green(`uncordoned${by}: it takes placements again`);
    case "node.draining":
      return pc.cyan(`drain begun${by}: each instance moves once its replacement is ready`);
    case "node.drained":
      return pc.green(`drained${after(data.tookMs)}: ${data.moved ?? 0} moved, nothing is left on it`);
    case "node.drain_cancelled":
      return pc.yellow(`drain called off${by}: what has not moved stays`);
    case "node.condition":
      return pc.yellow(`${words(data.kind ?? "condition")}${because}`);
    case "node.recovered":
      return pc.green(`${words(data.kind ?? "condition")} is over${after(data.lastedMs)}`);
    case "node.notice":
      return `${words(data.kind ?? "notice")}${data.instance ? ` (${data.instance})` : ""}${because}`;
    case "node.upgrading":
      return pc.cyan(
        `told to change its agent${data.from ? ` from ${data.from}` : ""} to ${data.version ?? "a new one"}`,
      );
    case "node.upgraded":
      return pc.green(`runs agent ${data.version ?? "as told"}${after(data.tookMs)}, and all that was ready still is`);
    case "node.upgrade_failed":
      return pc.red(`agent ${data.version ?? ""} did not come in${because}`);
    case "cell.frozen":
      return pc.red(`many nodes fell silent at once while gateways answer: nothing is rescheduled${because}`);
    case "cell.thawed":
      return pc.green(`rescheduling goes on${after(data.frozenMs)}${because}`);
    case "cell.rebalancing":
      return tellRebalance(data, by);
    default:
      return event.type.startsWith("node.") || event.type.startsWith("cell.")
        ? `${words(event.type.replace(".", " "))}${because}`
        : null;
  }
}

function tellRebalance({ state, steps = 0, moved = 0, remaining = 0, tookMs }: Data, by: string): string {
  if (state === "started") return pc.cyan(`rebalance of the cell begun${by}: ${steps} to move`);
  const rest = remaining === 0 ? "" : `, ${remaining} stay where they are`;
  return pc.cyan(`rebalance of the cell ${state ?? "changed"}${after(tookMs)}: ${moved} moved${rest}`);
}

const after = (ms: number | undefined): string => (ms === undefined ? "" : ` after ${shownMs(ms)}`);
const words = (name: string): string => name.replaceAll("_", " ");
