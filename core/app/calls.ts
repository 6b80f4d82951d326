// Calls to Cells: rows until answered. Commits and updates go one at a time per cell, so that their order holds.
import type { DesiredInstance, DrainSpan } from "../../contracts/desired.ts";
import type { Result } from "../../contracts/failures.ts";
import type { CellName, InstanceId } from "../../contracts/ids.ts";
import { seqKey } from "../keys.ts";
import { hasJudge } from "../rollout/seen.ts";
import { activeRollout, appOf, changeInstance, count, countersOf, type AppContext } from "./context.ts";
import { heldByCell, type Held } from "./held.ts";
import { end, stop } from "./instances.ts";
import { jobCommandOf } from "./jobs.ts";
import { blockersOf, needsConfirmation, policyOf } from "./policy.ts";
import { imagesToKeep } from "./releases.ts";
import { routeOf } from "./route.ts";
import { tellPlaced } from "./standby.ts";
import type { CallRow, CellCall, CellLinkRow, InstanceRow } from "./types.ts";

const NEW_LINK: CellLinkRow = {
  inSeq: 0,
  outSeq: 0,
  routeVersionTold: 0,
  routeToldAtMs: 0,
  watchTold: false,
  openCall: null,
};
export const cellLinkOf = (ctx: AppContext, cell: CellName): CellLinkRow => ctx.draft.get("cells", cell) ?? NEW_LINK;
export const callAttempt = (call: string): string => `call:${call}`;

/** Writes the call down; the step's end sends it. Its key is unique over all apps, so that a Cell can tell repetitions. */
export function openCall(ctx: AppContext, cell: CellName, make: (key: string) => CellCall): string {
  const callSeq = countersOf(ctx).callSeq + 1;
  count(ctx, { callSeq });
  const key = `${appOf(ctx).app}/${seqKey(callSeq)}`;
  ctx.draft.put("calls", key, { cell, call: make(key) });
  return key;
}

export function sendCalls(ctx: AppContext): void {
  const { callRetryMs, callRetryMaxMs } = ctx.limits;
  for (const [key, { cell, call }] of ctx.draft.entries("calls")) {
    ctx.wanted.add(callAttempt(key));
    if (!ctx.attempts.claim(callAttempt(key), callRetryMs, callRetryMaxMs)) continue;
    ctx.effects.push({ kind: "call_cell", call: key, cell, request: call });
  }
}

interface Owed {
  readonly commit: InstanceRow[];
  readonly drain: InstanceRow[];
  readonly run: InstanceRow[];
  readonly remove: InstanceRow[];
  held: Held;
  live: boolean;
}

/** What each cell has not heard yet, in at most one call per cell. */
export function syncCells(ctx: AppContext): void {
  const owed = new Map<CellName, Owed>();
  const owedTo = (cell: CellName): Owed => {
    const known = owed.get(cell);
    const entry: Owed = known ?? { commit: [], drain: [], run: [], remove: [], held: [], live: false };
    if (!known) owed.set(cell, entry);
    return entry;
  };
  for (const row of ctx.draft.values("instances")) {
    if (!row.cell || row.phase.kind === "ended") continue;
    const entry = owedTo(row.cell);
    if (row.phase.kind === "committing" && blockersOf(ctx, row, row).length === 0) entry.commit.push(row);
    if (row.phase.kind === "stopping" && isRemovalDue(ctx, row.phase.toldAtMs)) entry.remove.push(row);
    if (row.phase.kind === "draining" && !row.phase.told) entry.drain.push(row);
    if (row.phase.kind === "running" && row.recalled) entry.run.push(row);
    if (row.phase.kind === "running" || row.phase.kind === "draining") entry.live = true;
  }
  for (const [cell, held] of heldByCell(ctx)) owedTo(cell).held = held;
  for (const [cell, { heldTold, strangers }] of ctx.draft.entries("cells")) {
    if ((heldTold ?? NONE_HELD) !== NONE_HELD || strangers?.length) owedTo(cell as CellName);
  }
  for (const [cell, entry] of owed) {
    const link = cellLinkOf(ctx, cell);
    if (link.openCall === null) syncCell(ctx, cell, link, entry);
  }
}

const NONE_HELD = "[]";

function isWatched(ctx: AppContext): boolean {
  const rollout = activeRollout(ctx);
  return rollout !== null && hasJudge(rollout);
}

/** Told once; an end that its node does not confirm is asked for again now and then. What is due may wait for an open call's answer. */
function isRemovalDue(ctx: AppContext, toldAtMs: number | undefined): boolean {
  if (toldAtMs === undefined) return true;
  const againAtMs = toldAtMs + ctx.limits.confirmRetryMs;
  if (againAtMs <= ctx.nowMs) return true;
  ctx.wakeBy(againAtMs);
  return false;
}

function syncCell(ctx: AppContext, cell: CellName, link: CellLinkRow, owed: Owed): void {
  const { app } = appOf(ctx);
  const seq = link.outSeq + 1;
  const { version: routeVersion } = routeOf(ctx).route;
  const watch = isWatched(ctx);
  let after = link;
  let openCallKey: string;
  if (owed.commit.length > 0) {
    const instances = owed.commit.flatMap((row) => desiredOf(ctx, row));
    openCallKey = openCall(ctx, cell, (key) => ({
      kind: "commit",
      request: { key, app, seq, instances, routeVersion },
    }));
    for (const row of owed.commit) if (row.standsInFor) tellPlaced(ctx, row);
  } else if (isUpdateDue(ctx, link, owed, routeVersion)) {
    const confirm = owed.remove.filter((row) => needsConfirmation(ctx, row)).map((row) => row.id);
    const request = {
      app,
      seq,
      drain: owed.drain.map((row) => row.id),
      drainSpans: owed.drain.map(drainSpanOf),
      ...(owed.run.length > 0 ? { run: owed.run.map((row) => row.id) } : {}),
      remove: [...owed.remove.map((row) => row.id), ...(link.strangers ?? [])],
      routeVersion,
      watch,
      held: owed.held,
      ...(confirm.length > 0 ? { confirm } : {}),
    };
    openCallKey = openCall(ctx, cell, (key) => ({ kind: "update", request: { key, ...request } }));
    for (const row of owed.drain) {
      if (row.phase.kind === "draining") changeInstance(ctx, row, { phase: { ...row.phase, told: true } });
    }
    for (const row of owed.run) changeInstance(ctx, row, { recalled: false });
    after = { ...link, strangers: [], watchTold: watch, heldTold: JSON.stringify(owed.held), heldToldAtMs: ctx.nowMs };
  } else return;
  const told = { routeVersionTold: routeVersion, routeToldAtMs: ctx.nowMs };
  ctx.draft.put("cells", cell, { ...after, ...told, outSeq: seq, openCall: openCallKey });
}

function drainSpanOf({ phase }: InstanceRow): DrainSpan {
  if (phase.kind !== "draining") throw new Error(`what is ${phase.kind} does not drain`);
  return { sinceMs: phase.sinceMs, untilMs: phase.untilMs };
}

function isUpdateDue(ctx: AppContext, link: CellLinkRow, owed: Owed, routeVersion: number): boolean {
  if (owed.drain.length + owed.run.length + owed.remove.length + (link.strangers?.length ?? 0) > 0) return true;
  // Else its nodes would count, and this App be woken for it, for ever. That counting begins is told with the route.
  if (owed.live && link.watchTold !== false && !isWatched(ctx)) return true;
  return isRouteDue(ctx, link, routeVersion, owed.live) || isHeldDue(ctx, link, owed.held);
}

/** The first word at once; then in steps, because every try to find room may say something else. */
function isHeldDue(ctx: AppContext, { heldTold = NONE_HELD, heldToldAtMs = 0 }: CellLinkRow, held: Held): boolean {
  if (JSON.stringify(held) === heldTold) return false;
  const dueAtMs = heldTold === NONE_HELD ? ctx.nowMs : heldToldAtMs + ctx.limits.heldIntervalMs;
  if (dueAtMs <= ctx.nowMs) return true;
  ctx.wakeBy(dueAtMs);
  return false;
}

/** At once when the app has come to rest; while instances come up one by one, in small batches. */
function isRouteDue(ctx: AppContext, link: CellLinkRow, version: number, live: boolean): boolean {
  if (!live || link.routeVersionTold >= version) return false;
  const dueAtMs = link.routeToldAtMs + ctx.limits.routeNotifyIntervalMs;
  if (activeRollout(ctx)?.phase.kind !== "rolling" || dueAtMs <= ctx.nowMs) return true;
  ctx.wakeBy(dueAtMs);
  return false;
}

function desiredOf(ctx: AppContext, row: InstanceRow): DesiredInstance[] {
  const { app, name, team } = appOf(ctx);
  const kept = ctx.draft.get("releases", row.release);
  if (!kept) return [];
  const { release, privateImage } = kept;
  const { spec } = release;
  const source =
    spec.source.kind === "image"
      ? { ...spec.source, digest: release.digest }
      : { kind: "bundle" as const, hash: spec.source.hash };
  const job = jobCommandOf(ctx, row);
  const command = job?.command ?? spec.command;
  return [
    {
      instance: row.id,
      generation: row.generation,
      app,
      appName: name,
      team,
      release: row.release,
      version: row.version,
      ordinal: row.ordinal,
      intent: "run",
      source,
      ...(command ? { command } : {}),
      ...(job ? { job: { timeoutMs: job.timeoutMs } } : {}),
      port: spec.port,
      resources: spec.resources,
      probes: spec.probes,
      // Absent in rows of older runs.
      http: spec.http,
      stopGraceMs: spec.stopGraceMs,
      readOnlyRoot: spec.readOnlyRoot,
      ...(spec.runtimeClass ? { runtimeClass: spec.runtimeClass } : {}),
      hasEnvironment: release.envNames.length > 0,
      privateImage,
      hostPorts: row.job ? [] : policyOf(spec).hostPorts,
      singleton: row.job ? null : (policyOf(spec).singleton ?? null),
      keepImages: imagesToKeep(ctx),
    },
  ];
}

/** The call's row, taken away because it was answered; undefined for an answer that came before. */
export function closeCall(ctx: AppContext, key: string): CallRow | undefined {
  const row = ctx.draft.get("calls", key);
  if (!row) return undefined;
  ctx.draft.drop("calls", key);
  ctx.attempts.settle(callAttempt(key));
  const link = cellLinkOf(ctx, row.cell);
  if (link.openCall === key) ctx.draft.put("cells", row.cell, { ...link, openCall: null });
  return row;
}

/** A refused commit placed nothing: its instances give way to new ones, and give back what they held. */
export function committed(ctx: AppContext, instances: readonly DesiredInstance[], answer: Result<null>): void {
  for (const { instance } of instances) {
    const row = ctx.draft.get("instances", instance);
    if (row?.phase.kind !== "committing" && row?.phase.kind !== "stopping") continue;
    if (!answer.ok) stop(ctx, changeInstance(ctx, row, { gone: true }), "stopped");
    else if (row.phase.kind === "committing") {
      changeInstance(ctx, row, { phase: { kind: "running", sinceMs: ctx.nowMs } });
    }
  }
}

/** Taken out of the documents. A singleton's end counts only once its node has said so. */
export function updated(ctx: AppContext, removed: readonly InstanceId[]): void {
  for (const instance of removed) {
    const row = ctx.draft.get("instances", instance);
    if (row?.phase.kind !== "stopping") continue;
    if (needsConfirmation(ctx, row)) changeInstance(ctx, row, { phase: { ...row.phase, toldAtMs: ctx.nowMs } });
    else end(ctx, row);
  }
}
