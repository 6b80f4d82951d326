// An agent upgrade within a cell: which nodes are told of the new agent, and whether each came back well. Rows: tables.ts.
import type { AgentManifest, UpgradeCounts, UpgradeFault } from "../../contracts/agent-release.ts";
import type { Result } from "../../contracts/failures.ts";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import type { CellUpgradeRequest, CellUpgradeView } from "../messages.ts";
import { ok } from "../results.ts";
import { compareVersions } from "../upgrade/version.ts";
import { beatOf, emit, type CellContext } from "./context.ts";
import { nameOf, listOf, residentsOf } from "./residents.ts";
import type { NodeRow } from "./types.ts";
import type { CellUpgradeRow, NodeUpgradeRow } from "./upgrade-rows.ts";

const KEY = "upgrade";
const NOT_READY: ReadonlySet<string> = new Set(["unready", "backoff", "failed"]);

/** Takes the Region's word, unless it is a late one, and says how far this cell is. */
export function upgrade(ctx: CellContext, request: CellUpgradeRequest): Result<CellUpgradeView> {
  const known = ctx.draft.get("upgrade", KEY);
  if (known === undefined || request.seq >= known.seq) {
    if (known?.attempt !== request.attempt) forgetNodes(ctx, () => true);
    ctx.draft.put("upgrade", KEY, { ...request });
    if (request.closed) forgetNodes(ctx, ({ state }) => state.kind === "named" || state.kind === "heard");
  }
  watchUpgrade(ctx);
  return ok(viewOf(ctx, ctx.draft.get("upgrade", KEY)!));
}

/** Looked at in every step while one is under way: heartbeats say what has become of each node. */
export function watchUpgrade(ctx: CellContext): void {
  const row = ctx.draft.get("upgrade", KEY);
  if (row === undefined || row.closed) return;
  for (const [id, at] of [...ctx.draft.entries("upgraded")]) judge(ctx, row, id as NodeId, at);
  nameMore(ctx, row);
}

/** The agent that the node's document names. */
export const isNamed = (row: NodeUpgradeRow | undefined): boolean =>
  row?.state.kind === "named" || row?.state.kind === "heard";

function forgetNodes(ctx: CellContext, which: (row: NodeUpgradeRow) => boolean): void {
  for (const [id, row] of [...ctx.draft.entries("upgraded")]) {
    if (!which(row)) continue;
    ctx.draft.drop("upgraded", id);
    if (isNamed(row)) ctx.touched.add(id as NodeId);
  }
}

function judge(ctx: CellContext, row: CellUpgradeRow, id: NodeId, { state }: NodeUpgradeRow): void {
  if (state.kind !== "named" && state.kind !== "heard") return;
  const node = ctx.draft.get("nodes", id);
  if (!node || node.phase === "removed") return ctx.draft.drop("upgraded", id);
  const { upgradeNodeMs, upgradeSoakMs } = ctx.limits;
  const beat = beatOf(ctx, id);
  const told = beat.agent?.upgrade?.attempt === row.attempt ? beat.agent.upgrade : null;
  if (told?.state === "refused" || told?.state === "reverted") {
    return fail(ctx, row, node, `${told.state} ${row.version}: ${told.message}`);
  }
  const isLate = ctx.nowMs >= state.sinceMs + upgradeNodeMs;
  const within = `within ${Math.round(upgradeNodeMs / 1_000)} s`;
  if (state.kind === "named") {
    const heard = beat.agentVersion === row.version && (beat.lastHeartbeatAtMs ?? 0) >= state.sinceMs;
    if (heard) ctx.draft.put("upgraded", id, { state: { ...state, kind: "heard", heardAtMs: ctx.nowMs } });
    else if (isLate) fail(ctx, row, node, `did not come back with ${row.version} ${within}${lastWord(node, told)}`);
    return;
  }
  if (node.phase !== "ready") return fail(ctx, row, node, `is ${node.phase} since it runs ${row.version}`);
  if (ctx.nowMs < state.heardAtMs + upgradeSoakMs) return;
  const unready = residentsOf(ctx, id).filter(
    ({ desired }) => state.ready.includes(desired.instance) && isUnready(ctx, desired.instance),
  );
  if (unready.length > 0) {
    return fail(ctx, row, node, `no longer ready since the upgrade: ${listOf(unready.map(nameOf))}`);
  }
  if (beat.agent?.gatewayVersion === row.version) return succeed(ctx, row, node, ctx.nowMs - state.sinceMs);
  if (isLate) {
    fail(
      ctx,
      row,
      node,
      `its gateway is ${beat.agent?.gatewayVersion ?? "not answering"}, not ${row.version}, ${within}`,
    );
  }
}

/** An instance that left the node meanwhile is no fault of the upgrade. */
function isUnready(ctx: CellContext, instance: InstanceId): boolean {
  const row = ctx.draft.get("instances", instance);
  if (row?.state.kind !== "desired" || row.desired.intent !== "run") return false;
  return NOT_READY.has(ctx.draft.get("observed", instance)?.status.kind ?? "");
}

function lastWord(node: NodeRow, told: { state: string; message: string } | null): string {
  if (node.phase !== "ready") return `: it is ${node.phase}`;
  return told === null ? ": its agent says nothing of it" : `: ${told.state}${told.message ? `, ${told.message}` : ""}`;
}

function succeed(ctx: CellContext, { version }: CellUpgradeRow, node: NodeRow, tookMs: number): void {
  ctx.draft.put("upgraded", node.id, { state: { kind: "done", atMs: ctx.nowMs } });
  ctx.touched.add(node.id);
  emit(ctx, { type: "node.upgraded", subject: node.id, data: { name: node.name, version, tookMs } });
}

function fail(ctx: CellContext, { version }: CellUpgradeRow, node: NodeRow, why: string): void {
  ctx.draft.put("upgraded", node.id, { state: { kind: "failed", atMs: ctx.nowMs, why: why.slice(0, 600) } });
  ctx.touched.add(node.id);
  emit(ctx, { type: "node.upgrade_failed", subject: node.id, data: { name: node.name, version, message: why } });
}

/** One fault, and no further node of this cell is touched: the Region hears of it within its next look. */
function nameMore(ctx: CellContext, row: CellUpgradeRow): void {
  let underWay = 0;
  let upgraded = 0;
  for (const { state } of ctx.draft.values("upgraded")) {
    if (state.kind === "failed") return;
    if (state.kind === "done") upgraded += 1;
    else underWay += 1;
  }
  const wanted = row.nodesMax === null ? Infinity : row.nodesMax - underWay - upgraded;
  const room = Math.min(ctx.limits.upgradeAtOnceMax - underWay, wanted);
  if (room <= 0) return;
  const nodes = [...ctx.draft.values("nodes")].filter(
    (node) => standingOf(ctx, row, node) === "waiting" && beatOf(ctx, node.id).lastHeartbeatAtMs !== null,
  );
  // One with little to lose first, but with something: on an empty node no instance can show what is wrong.
  const load = ({ id }: NodeRow) => residentsOf(ctx, id).length || Infinity;
  nodes.sort((a, b) => (load(a) === load(b) ? (a.id < b.id ? -1 : 1) : load(a) - load(b)));
  for (const node of nodes.slice(0, room)) {
    const ready = residentsOf(ctx, node.id).filter(
      ({ desired }) => ctx.draft.get("observed", desired.instance)?.status.kind === "ready",
    );
    const instances = ready.map(({ desired }) => desired.instance);
    ctx.draft.put("upgraded", node.id, { state: { kind: "named", sinceMs: ctx.nowMs, ready: instances } });
    ctx.touched.add(node.id);
    const from = beatOf(ctx, node.id).agentVersion;
    emit(ctx, { type: "node.upgrading", subject: node.id, data: { name: node.name, from, version: row.version } });
  }
}

type Standing = Exclude<keyof UpgradeCounts, "nodes"> | "failed";

function standingOf(ctx: CellContext, { version }: Pick<AgentManifest, "version">, node: NodeRow): Standing {
  const state = ctx.draft.get("upgraded", node.id)?.state.kind;
  if (state === "done") return "upgraded";
  if (state === "failed") return "failed";
  if (state !== undefined) return "underWay";
  const beat = beatOf(ctx, node.id);
  if (node.phase !== "ready" || beat.suspectSinceMs !== null) return "away";
  // A Cell that just started has not heard it yet: nobody may go past it as if it were away.
  if (beat.lastHeartbeatAtMs === null) return "waiting";
  if (compareVersions(beat.agentVersion, version) >= 0) return "had";
  return beat.agent?.able ? "waiting" : "unable";
}

function viewOf(ctx: CellContext, row: CellUpgradeRow): CellUpgradeView {
  const counts = { nodes: 0, had: 0, upgraded: 0, underWay: 0, waiting: 0, unable: 0, away: 0 };
  const unable: UpgradeFault[] = [];
  let fault: UpgradeFault | null = null;
  for (const node of ctx.draft.values("nodes")) {
    if (node.phase === "removed") continue;
    counts.nodes += 1;
    const standing = standingOf(ctx, row, node);
    const { id, name } = node;
    if (standing === "failed") {
      const state = ctx.draft.get("upgraded", id)!.state;
      if (state.kind === "failed") fault ??= { node: id, name, why: state.why };
      continue;
    }
    counts[standing] += 1;
    if (standing !== "unable" || unable.length >= ctx.limits.upgradeNamedMax) continue;
    const why = beatOf(ctx, id).agent?.unable ?? "its agent is from before upgrades: install the new one by hand";
    unable.push({ node: id, name, why });
  }
  return { attempt: row.attempt, seq: row.seq, counts, fault, unable };
}
