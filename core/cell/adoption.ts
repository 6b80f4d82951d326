// A Cell made from a backup first listens to what its nodes run, for as long as that takes them or adoptMs, and publishes nothing.
import type { HeartbeatRequest, ObservedInstance } from "../../contracts/agent-protocol.ts";
import type { Result } from "../../contracts/failures.ts";
import type { AppId, InstanceId, NodeId } from "../../contracts/ids.ts";
import type { Present } from "../messages.ts";
import { refuse } from "../results.ts";
import { beatOf, cellOf, type CellContext } from "./context.ts";
import { linkOf } from "./links.ts";
import { writeMessage } from "./messages.ts";
import { rememberLeft } from "./metering.ts";
import type { CellDurable, CellEvent, CellInstanceRow, CellRow, NodeRow } from "./types.ts";

/** A message with so many instances stays far below a row's 2 MB. */
const PRESENT_PER_MESSAGE = 100;

export const isAdopting = (cell: CellRow | undefined): boolean => typeof cell?.adoptingUntilMs === "number";

/** Whether the node may have a document of this Cell: one that leaves out what nobody here knows of would stop it. */
export const isWithheld = (cell: CellRow | undefined, node: NodeRow): boolean =>
  isAdopting(cell) || node.strangers === true;

export const mayPublish = (durable: CellDurable, node: NodeRow): boolean => !isWithheld(durable.cell.get("cell"), node);

/** What would change documents, or tell others who is here, waits until that is known. A revocation does not: it takes nothing that may be unknown. */
export function whileAdopting(ctx: CellContext, event: CellEvent): Result<never> | null {
  if (!isAdopting(cellOf(ctx)) || !WAITING.has(event.kind)) return null;
  return refuse(
    "overloaded",
    "The cell was restored from a backup and is listening to its nodes; try again in a few seconds.",
  );
}
const WAITING: ReadonlySet<CellEvent["kind"]> = new Set([
  "reserve",
  "commit",
  "update",
  "drain",
  "remove",
  "rebalance",
  "upgrade",
  "roster",
] as const);

export const adoptionWakeAtMs = (ctx: CellContext): number | null => cellOf(ctx)?.adoptingUntilMs ?? null;

/** What runs there and has no row here gets one, as the node's own document says. Returns whether that is to be told. */
export function adopt(ctx: CellContext, node: NodeRow, { observed, document }: HeartbeatRequest): boolean {
  if (!isWithheld(cellOf(ctx), node)) return false;
  const running = new Map(observed.filter(mayRun).map((entry) => [entry.instance, entry]));
  for (const desired of document?.node === node.id ? document.instances : []) {
    const entry = running.get(desired.instance);
    if (entry?.generation !== desired.generation || ctx.draft.get("instances", desired.instance)) continue;
    ctx.draft.put("instances", desired.instance, { desired, node: node.id, state: { kind: "desired" } });
    ctx.draft.put("observed", desired.instance, entry);
    ctx.draft.put("apps", desired.app, { ...linkOf(ctx, desired.app), stale: true });
    if (!isAdopting(cellOf(ctx))) tellPresent(ctx, desired.app);
  }
  // What its own document leaves out the agent is stopping already.
  const strangers = !document && [...running.keys()].some((instance) => !ctx.draft.get("instances", instance));
  const now = ctx.draft.get("nodes", node.id)!;
  if ((now.strangers ?? false) !== strangers) {
    ctx.draft.put("nodes", node.id, { ...now, strangers });
    ctx.touched.add(node.id);
  }
  return strangers;
}

const mayRun = ({ status }: ObservedInstance): boolean => status.kind !== "stopped" && status.kind !== "failed";

/** When every node was heard, or the time is over: from here on it is a Cell like any other. */
export function watchAdoption(ctx: CellContext): void {
  const cell = cellOf(ctx);
  if (!cell || typeof cell.adoptingUntilMs !== "number") return;
  const nodes = [...ctx.draft.values("nodes")].filter(({ phase }) => phase !== "removed");
  const heard = nodes.filter(({ id }) => hasSpoken(ctx, id));
  const complete = heard.length === nodes.length && heard.every(({ strangers }) => strangers !== true);
  if (!complete && ctx.nowMs < cell.adoptingUntilMs) return;
  const heardIds = new Set(heard.map(({ id }) => id));
  for (const [id, row] of [...ctx.draft.entries("instances")]) {
    if (row.state.kind === "desired" && heardIds.has(row.node) && !runs(ctx, id)) forgetInstance(ctx, row);
  }
  ctx.draft.put("cell", "cell", { ...cell, adoptingUntilMs: null });
  ctx.windowsFromMs = ctx.nowMs;
  for (const { id } of nodes) ctx.touched.add(id);
  for (const [app] of [...ctx.draft.entries("apps")]) tellPresent(ctx, app as AppId);
  ctx.urgentSummary = true;
}

/** An agent that has just started acknowledges nothing before it knows what runs, and its word on that is no word. */
function hasSpoken(ctx: CellContext, id: NodeId): boolean {
  const { lastHeartbeatAtMs, ackRevision } = beatOf(ctx, id);
  if (lastHeartbeatAtMs === null) return false;
  return ackRevision > 0 || (ctx.holdings.onNode.get(id)?.instances.size ?? 0) === 0;
}

const runs = (ctx: CellContext, instance: string): boolean => {
  const status = ctx.draft.get("observed", instance)?.status.kind;
  return status !== undefined && status !== "stopped";
};

/** It was stopped there since the backup, which is final. */
function forgetInstance(ctx: CellContext, row: CellInstanceRow): void {
  rememberLeft(ctx, row);
  ctx.draft.drop("instances", row.desired.instance);
  ctx.draft.drop("observed", row.desired.instance);
}

/** In place of all that was ever said. */
function tellPresent(ctx: CellContext, app: AppId): void {
  ctx.draft.put("apps", app, { ...linkOf(ctx, app), stale: false });
  const present = [...(ctx.holdings.ofApp.get(app) ?? [])].flatMap(([id, row]) => presentOf(ctx, id, row));
  for (let from = 0; from === 0 || from < present.length; from += PRESENT_PER_MESSAGE) {
    const part = present.slice(from, from + PRESENT_PER_MESSAGE);
    writeMessage(ctx, app, { kind: "restored", present: part, last: from + PRESENT_PER_MESSAGE >= present.length });
  }
}

function presentOf(ctx: CellContext, instance: InstanceId, { desired, node: id, state }: CellInstanceRow): Present[] {
  const node = ctx.draft.get("nodes", id);
  if (state.kind !== "desired" || !node) return [];
  const { generation } = desired;
  const { name: nodeName, failureDomain, gatewayUrl, region } = node;
  const placement = { instance, generation, node: id, nodeName, failureDomain, gatewayUrl };
  return [{ desired, placement, region, observed: ctx.draft.get("observed", instance) ?? null }];
}
