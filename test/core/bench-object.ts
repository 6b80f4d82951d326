// An object on the bench: its tables and memory, stepped by hand; effects are handed back for the test to answer or drop.
import { AGENT_PROTOCOL, type EnrolRequest, type ObservedStatus } from "../../contracts/agent-protocol.ts";
import type { Result } from "../../contracts/failures.ts";
import type { AppId, CellName, InstanceId, NodeId, ProjectId, RegionName, TeamId } from "../../contracts/ids.ts";
import { ReleaseSpec } from "../../contracts/release.ts";
import { stepApp } from "../../core/app/step.ts";
import { APP_TABLE_NAMES, type AppEffect, type AppEvent, type AppReply, type AppTables } from "../../core/app/types.ts";
import { emptyAppVolatile } from "../../core/app/volatile.ts";
import { stepCell } from "../../core/cell/step.ts";
import {
  CELL_TABLE_NAMES,
  type CellEffect,
  type CellEvent,
  type CellReply,
  type CellTables,
} from "../../core/cell/types.ts";
import { emptyCellVolatile } from "../../core/cell/volatile.ts";
import { idsOf } from "../../core/ids.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import type { CellSummary, CellToApp, Placement, ReserveSlot } from "../../core/messages.ts";
import type { RowChange } from "../../core/step.ts";

type Maps<Tables> = { [Table in keyof Tables]: Map<string, Tables[Table]> };
const emptyMaps = <Tables>(names: readonly string[]): Maps<Tables> =>
  Object.fromEntries(names.map((name) => [name, new Map()])) as Maps<Tables>;
function applyAll<Tables>(tables: Maps<Tables>, changes: readonly RowChange<Tables>[]): void {
  for (const change of changes) {
    const table = tables[change.table] as Map<string, unknown>;
    if (change.kind === "put") table.set(change.key, change.value);
    else table.delete(change.key);
  }
}

let steps = 0;
const nextSeed = (): string => (steps += 1).toString(16).padStart(8, "0").repeat(4);
export const idFor = <Id extends string>(prefix: string, n: number): Id =>
  idsOf({ nowMs: n, seed: n.toString(16).padStart(8, "0").repeat(4) })<Id>(prefix);

export const REGION = "lab" as RegionName;
export const CELL = "lab.0" as CellName;
const ROOM = { cpuMilli: 8_000, memoryBytes: 16e9, diskBytes: 1e12, pids: 10_000 };
export const summary = (cell = CELL, readyNodes = 3, free = ROOM): CellSummary => ({
  cell,
  nodes: 3,
  readyNodes,
  capacity: ROOM,
  free,
  largestFree: free,
  runtimes: ["docker"],
  atMs: 0,
});
export const spec = (more: Record<string, unknown> = {}): ReleaseSpec =>
  ReleaseSpec.parse({ source: { kind: "image", reference: "shop/web:1" }, ...more });

export class BenchApp {
  readonly tables = emptyMaps<AppTables>(APP_TABLE_NAMES);
  volatile = emptyAppVolatile();
  nowMs = 1_000_000;
  wakeAtMs: number | null = null;
  rowsWritten = 0;
  effects: AppEffect[] = [];
  readonly limits: Limits;
  readonly app: AppId;
  private inSeq = 0;

  constructor(limits: Partial<Limits> = {}, create: { replicas?: number; cells?: CellSummary[]; app?: number } = {}) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    this.app = idFor<AppId>("app", create.app ?? 1);
    const { replicas = 1, cells = [summary()] } = create;
    this.take({
      kind: "create",
      input: {
        app: this.app,
        team: idFor<TeamId>("team", 1),
        project: idFor<ProjectId>("proj", 1),
        name: "web",
        hostnames: ["web.lab.test"],
        regions: [REGION],
        replicas,
        ...as(null),
      },
    });
    this.take({ kind: "cells_known", region: REGION, items: cells });
    this.effects = [];
  }

  take<Event extends AppEvent>(event: Event): AppReply<Event["kind"]> {
    const at = { nowMs: this.nowMs, seed: nextSeed() };
    const decision = stepApp(this.tables, this.volatile, event, at, this.limits);
    applyAll(this.tables, decision.rowChanges);
    this.rowsWritten = decision.rowChanges.length;
    this.volatile = decision.volatile;
    this.wakeAtMs = decision.wakeAtMs;
    this.effects.push(...decision.effects);
    return decision.reply;
  }

  /** Takes away and returns the effects of one kind since last asked. */
  drain<Kind extends AppEffect["kind"]>(kind: Kind): Extract<AppEffect, { kind: Kind }>[] {
    const taken = this.effects.filter((effect) => effect.kind === kind);
    this.effects = this.effects.filter((effect) => effect.kind !== kind);
    return taken as Extract<AppEffect, { kind: Kind }>[];
  }

  restart(): void {
    this.volatile = emptyAppVolatile();
    this.effects = [];
  }
  tick(afterMs = 0): void {
    this.nowMs += afterMs;
    this.take({ kind: "tick" });
  }

  /** Grants every call that is out, each slot on a node of its own, until nothing is asked any more. Returns how many calls. */
  grantAll(): string[] {
    const kinds: string[] = [];
    for (let calls = this.drain("call_cell"); calls.length > 0; calls = this.drain("call_cell")) {
      for (const { call, request } of calls) {
        kinds.push(request.kind);
        if (request.kind === "reserve") {
          const placements = request.request.slots.map((slot) => placementOf(slot));
          this.take({ kind: "reserved", call, answer: { ok: true, value: { placements, refused: [] } } });
        } else if (request.kind === "commit") this.take({ kind: "committed", call, answer: { ok: true, value: null } });
        else this.take({ kind: "updated", call, answer: { ok: true, value: null } });
      }
    }
    return kinds;
  }

  tell(...messages: (CellToApp extends infer M ? (M extends CellToApp ? Omit<M, "seq"> : never) : never)[]): number {
    const numbered = messages.map((message) => ({ ...message, seq: (this.inSeq += 1) }) as CellToApp);
    return this.take({ kind: "deliver", input: { cell: CELL, messages: numbered } }).ackSeq;
  }
  observe(ids: readonly InstanceId[], status: ObservedStatus, more: { restarts?: number; digest?: string } = {}): void {
    const observations = ids.map((instance) => {
      const row = this.tables.instances.get(instance)!;
      const observed = {
        instance,
        generation: row.generation,
        app: this.app,
        status,
        restarts: 0,
        digest: null,
        sinceMs: 0,
        ...more,
      };
      return { kind: "observed" as const, node: row.placement!.node, observed };
    });
    this.tell(...observations);
  }

  /** Live instances of a version, by ordinal. */
  of(version: number): InstanceId[] {
    const live = [...this.tables.instances.values()].filter(
      (row) => row.version === version && row.phase.kind !== "ended" && row.phase.kind !== "stopping",
    );
    return live.sort((a, b) => a.ordinal - b.ordinal || a.generation - b.generation).map((row) => row.id);
  }
  phase(): string | undefined {
    return [...this.tables.rollouts.values()].at(-1)?.phase.kind;
  }
  answerVerify(ok = true): void {
    for (const { rollout, instances } of this.drain("verify")) {
      const results = instances.map((instance) => {
        const { generation } = this.tables.instances.get(instance)!;
        return { instance, generation, ok, message: ok ? "" : "no answer" };
      });
      this.take({ kind: "verified", input: { rollout, results } });
    }
  }
  /** From acceptance to completed. */
  deploy(more: Record<string, unknown> = {}, replicas?: number): void {
    value(
      this.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(more), replicas, privateImage: false } }),
    );
    this.bringUp();
  }
  bringUp(): void {
    this.grantAll();
    const version = [...this.tables.rollouts.values()].at(-1)!.to.version;
    const waiting = this.of(version).filter((id) => this.tables.instances.get(id)!.observed?.kind !== "ready");
    this.observe(waiting, { kind: "ready" });
    this.answerVerify();
    this.grantAll();
  }
}

export const as = (idempotencyKey: string | null) => ({ actor: "user:lab", idempotencyKey });
export function value<Value>(result: Result<Value>): Value {
  if (!result.ok) throw new Error(`${result.failure.code}: ${result.failure.message}`);
  return result.value;
}
/** A node of its own for each ordinal, and the next one that the slot does not avoid. */
export const placementOf = (slot: ReserveSlot): Placement => {
  let n = slot.ordinal;
  while (slot.avoid?.includes(idFor<NodeId>("node", n + 1))) n += 1;
  return {
    instance: slot.instance,
    generation: slot.generation,
    node: idFor<NodeId>("node", n + 1),
    nodeName: `node-${n}`,
    failureDomain: `rack-${n}`,
    gatewayUrl: `http://node-${n}:1`,
  };
};

export class BenchCell {
  readonly tables = emptyMaps<CellTables>(CELL_TABLE_NAMES);
  nowMs = 1_000_000;
  volatile = emptyCellVolatile(this.nowMs);
  wakeAtMs: number | null = null;
  rowsWritten = 0;
  effects: CellEffect[] = [];
  readonly limits: Limits;
  private readonly seqs = new Map<string, number>();

  constructor(limits: Partial<Limits> = {}) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
  }

  take<Event extends CellEvent>(event: Event): CellReply<Event["kind"]> {
    const at = { nowMs: this.nowMs, seed: nextSeed() };
    const decision = stepCell(this.tables, this.volatile, event, at, this.limits);
    applyAll(this.tables, decision.rowChanges);
    this.rowsWritten = decision.rowChanges.length;
    this.volatile = decision.volatile;
    this.wakeAtMs = decision.wakeAtMs;
    this.effects.push(...decision.effects);
    return decision.reply;
  }
  drain<Kind extends CellEffect["kind"]>(kind: Kind): Extract<CellEffect, { kind: Kind }>[] {
    const taken = this.effects.filter((effect) => effect.kind === kind);
    this.effects = this.effects.filter((effect) => effect.kind !== kind);
    return taken as Extract<CellEffect, { kind: Kind }>[];
  }
  restart(): void {
    this.volatile = emptyCellVolatile(this.nowMs);
    this.effects = [];
  }
  tick(afterMs = 0): void {
    this.nowMs += afterMs;
    this.take({ kind: "tick" });
  }

  enrol(
    n: number,
    more: { failureDomain?: string; cpuMilli?: number; jkt?: string; protocol?: number; gatewayUrl?: string } & {
      /** false: the Region does not answer. */
      claimed?: false;
      hostPorts?: EnrolRequest["hostPorts"];
    } = {},
  ): CellReply<"enrol"> {
    const request = {
      protocol: more.protocol ?? AGENT_PROTOCOL,
      token: "0123456789abcdef",
      name: `node-${n}`,
      signKey: "s".repeat(43),
      sealKey: "x".repeat(43),
      region: REGION,
      failureDomain: more.failureDomain ?? `rack-${n}`,
      labels: {},
      gatewayUrl: more.gatewayUrl ?? `http://node-${n}:1`,
      hostPorts: more.hostPorts,
      capacity: { ...ROOM, cpuMilli: more.cpuMilli ?? 1_000 },
      runtime: "docker" as const,
      platform: "linux/amd64",
      agentVersion: "1",
    };
    const input = { node: nodeId(n), cell: CELL, jkt: more.jkt ?? "jkt", request, operator: "user:op" };
    const enrolled = this.take({ kind: "enrol", input });
    if (more.claimed !== false)
      for (const { node } of this.drain("claim_place")) this.take({ kind: "place_claimed", node });
    return enrolled;
  }
  /** proof: what differs from the next proper proof. */
  beat(n: number, request: Record<string, unknown> = {}, proof: Record<string, unknown> = {}): CellReply<"heartbeat"> {
    const boot = String(proof.boot ?? "boot-1");
    const seq = (this.seqs.get(`${n}/${boot}`) ?? 0) + 1;
    this.seqs.set(`${n}/${boot}`, seq);
    const full = {
      protocol: AGENT_PROTOCOL,
      ackRevision: this.tables.nodes.get(nodeId(n))?.revision ?? 0,
      agentVersion: "1",
      observed: [],
      used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 },
      gatewayReady: true,
      watched: [],
      metering: [],
      conditions: [],
      notices: [],
      images: [],
      ...request,
    };
    const input = { node: nodeId(n), jkt: "jkt", boot, lane: "heartbeat" as const, seq, ...proof, request: full };
    return this.take({ kind: "heartbeat", input });
  }
}
export const nodeId = (n: number): NodeId => idFor<NodeId>("node", n);
export const insId = (n: number): InstanceId => idFor<InstanceId>("ins", n);
