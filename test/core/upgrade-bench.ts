// A region on the bench: the pure upgrade, pure Cells, and agents that change over (or do not), in virtual time.
import type { AgentUpgrade } from "../../contracts/agent-release.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import type { Result } from "../../contracts/failures.ts";
import type { CellName, RegionName } from "../../contracts/ids.ts";
import { documentOf } from "../../core/cell/document.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { stepUpgrade } from "../../core/upgrade/step.ts";
import {
  emptyUpgradeVolatile,
  UPGRADE_TABLE_NAMES,
  type StartUpgrade,
  type UpgradeEffect,
  type UpgradeEvent,
  type UpgradeTables,
} from "../../core/upgrade/types.ts";
import { BenchCell, nodeId, value } from "./bench-object.ts";

export const OLD = "1.0.0";
export const NEW = "1.1.0";
const TICK_MS = 1_000;
/** From the word to the first heartbeat of the new agent; to the word that it reverted. */
const CHANGE_MS = 3_000;

export interface BenchWish {
  readonly cells: number;
  readonly nodesPerCell: number;
  readonly version?: string;
  readonly bad?: (cell: number, node: number) => "refused" | "reverted" | "gone" | null;
  readonly silentCell?: number;
  /** A seed: messages are lost, doubled and late, objects start anew. */
  readonly chaos?: number;
}

type Agent = { version: string; toldAtMs: number | null; everTold: boolean; state: "refused" | "reverted" | null };
type Tables = { [Table in keyof UpgradeTables]: Map<string, UpgradeTables[Table]> };

export class RegionBench {
  readonly tables = Object.fromEntries(UPGRADE_TABLE_NAMES.map((name) => [name, new Map()])) as unknown as Tables;
  readonly cells: BenchCell[];
  readonly delivered: BerthEvent[] = [];
  readonly #wish: BenchWish;
  readonly #agents: Agent[][];
  readonly #handedOver: StartUpgrade[] = [];
  #volatile = emptyUpgradeVolatile(1_000_000);
  #nowMs = 1_000_000;
  #wakeAtMs: number | null = null;
  #inFlight: { atMs: number; effect: UpgradeEffect }[] = [];
  #random: number;

  constructor(wish: BenchWish) {
    this.#wish = wish;
    this.#random = wish.chaos ?? 0;
    const version = wish.version ?? OLD;
    this.cells = Array.from({ length: wish.cells }, () => new BenchCell());
    this.#agents = this.cells.map(() =>
      Array.from({ length: wish.nodesPerCell }, () => ({ version, toldAtMs: null, everTold: false, state: null })),
    );
    for (const cell of this.cells) for (let n = 0; n < wish.nodesPerCell; n += 1) value(cell.enrol(n));
    this.#beatAll();
  }

  #chance(share: number): boolean {
    if (this.#wish.chaos === undefined) return false;
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#random / 2 ** 32 < share;
  }

  #take(event: UpgradeEvent): unknown {
    if (this.#chance(0.05)) this.#volatile = emptyUpgradeVolatile(this.#nowMs);
    const at = { nowMs: this.#nowMs, seed: "0".repeat(32) };
    const decision = stepUpgrade(this.tables, this.#volatile, event, at, DEFAULT_LIMITS);
    for (const change of decision.rowChanges) {
      const table = this.tables[change.table] as Map<string, unknown>;
      if (change.kind === "put") table.set(change.key, change.value);
      else table.delete(change.key);
    }
    this.#volatile = decision.volatile;
    this.#wakeAtMs = decision.wakeAtMs;
    for (const effect of decision.effects) {
      if (this.#chance(0.2)) continue;
      const delayMs = this.#chance(0.3) ? 4_000 : 0;
      this.#inFlight.push({ atMs: this.#nowMs + delayMs, effect });
      if (this.#chance(0.2)) this.#inFlight.push({ atMs: this.#nowMs + 3_000, effect });
    }
    return decision.reply;
  }

  #run(effect: UpgradeEffect): void {
    if (effect.kind === "hand_over") {
      this.#handedOver.push(effect.input);
      this.#take({ kind: "handed_over", attempt: effect.input.attempt, refusal: null });
    } else if (effect.kind === "drain_outbox") {
      const known = this.delivered.at(-1)?.seq ?? 0;
      this.delivered.push(...effect.events.filter(({ seq }) => seq > known));
      this.#take({ kind: "outbox_acked", lastSeq: this.delivered.at(-1)?.seq ?? 0 });
    } else {
      const index = Number(effect.cell.split(".")[1]);
      const cell = this.cells[index]!;
      if (index === this.#wish.silentCell) return void this.#take(silent(effect.cell));
      if (this.#chance(0.1)) cell.restart();
      const view = value(cell.take({ kind: "upgrade", input: effect.request }));
      if (this.#chance(0.1)) this.#take(silent(effect.cell));
      else this.#take({ kind: "cell_told", cell: effect.cell, view });
    }
  }

  #tick(): void {
    this.#nowMs += TICK_MS;
    for (const cell of this.cells) cell.tick(TICK_MS);
    const due = this.#inFlight.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#inFlight = this.#inFlight.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { effect } of due) this.#run(effect);
    if (this.#nowMs % 2_000 === 0) this.#beatAll();
    if (this.#wakeAtMs !== null && this.#wakeAtMs <= this.#nowMs) this.#take({ kind: "tick" });
  }

  #beatAll(): void {
    this.cells.forEach((cell, at) => this.#agents[at]!.forEach((agent, n) => this.#beat(cell, at, n, agent)));
  }

  #beat(cell: BenchCell, at: number, n: number, agent: Agent): void {
    const wanted = documentOf(cell.tables, nodeId(n))?.agent;
    if (wanted && agent.version !== NEW && agent.state === null) {
      agent.toldAtMs ??= this.#nowMs;
      agent.everTold = true;
    } else if (!wanted) agent.toldAtMs = null;
    const bad = this.#wish.bad?.(at, n) ?? null;
    if (agent.toldAtMs !== null && this.#nowMs >= agent.toldAtMs + CHANGE_MS && agent.state === null) {
      if (bad === null) agent.version = NEW;
      else if (bad !== "gone") agent.state = bad;
    }
    const attempt = wanted?.attempt ?? this.tables.upgrade.get("upgrade")?.attempt ?? "0".repeat(16);
    const upgrade = agent.state === null ? null : { attempt, state: agent.state, message: "as the bench wants it" };
    const { version } = agent;
    const report = { able: true, sha256: null, gatewayVersion: version, upgrade };
    value(cell.beat(n, { agentVersion: version, agent: report }));
  }

  // ---- what tests do and see ----

  tryStart(id: string, next: readonly string[] = []): Result<AgentUpgrade> {
    const cells = this.cells.map((_, at) => `lab.${at}` as CellName);
    const names = next as readonly RegionName[];
    const attempt = id.padStart(16, "0");
    const more = { attempt, version: NEW, manifest: "a.b.c", actor: "user:op", next: names };
    return this.#take({
      kind: "start",
      input: { region: "lab" as RegionName, ...more },
      cells,
    }) as Result<AgentUpgrade>;
  }
  start(next: readonly string[] = []): AgentUpgrade {
    return value(this.tryStart("aa", next));
  }
  tryChange(change: "pause" | "resume" | "abort"): Result<AgentUpgrade> {
    return this.#take({ kind: "change", input: { change, actor: "user:op" } }) as Result<AgentUpgrade>;
  }
  change(change: "pause" | "resume" | "abort"): AgentUpgrade {
    return value(this.tryChange(change));
  }
  view(): AgentUpgrade {
    return value(this.#take({ kind: "read" }) as Result<AgentUpgrade>);
  }
  /** Until it is so; throws after an hour of virtual time. */
  run(until: (view: AgentUpgrade) => boolean): void {
    for (const endMs = this.#nowMs + 3_600_000; !until(this.view());) {
      if (this.#nowMs > endMs) throw new Error(`not within an hour: ${JSON.stringify(this.view())}`);
      this.#tick();
    }
  }
  runFor(ms: number): void {
    for (const endMs = this.#nowMs + ms; this.#nowMs < endMs;) this.#tick();
  }
  upgradedCount(): number {
    return this.#agents.flat().filter(({ version, everTold }) => everTold && version === NEW).length;
  }
  toldCount(): number {
    return this.#agents.flat().filter(({ everTold }) => everTold).length;
  }
  /** Nodes whose document names an agent now. */
  namedCount(): number {
    return this.cells.flatMap((cell) =>
      [...cell.tables.nodes.values()].filter(({ id }) => documentOf(cell.tables, id)?.agent),
    ).length;
  }
  /** Every cell has heard of the end. */
  isQuiet(): boolean {
    const row = this.tables.upgrade.get("upgrade");
    return row !== undefined && row.unclosed.length === 0 && row.state.kind !== "running";
  }
  handedOver(): StartUpgrade | null {
    return this.#handedOver[0] ?? null;
  }
}

const silent = (cell: CellName) => ({ kind: "cell_silent" as const, cell, message: "no answer within 5000 ms" });

export const bench = (wish: BenchWish): RegionBench => new RegionBench(wish);
