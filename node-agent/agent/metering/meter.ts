// The node's meter: accounts of all instances and the rows made of them, on disk; rows are kept until acknowledged.
import { join } from "node:path";
import { z } from "zod";
import { type InstanceCounters, MeteringRow } from "../../../contracts/agent-protocol.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { GatewayCounters } from "../../endpoint-file.ts";
import type { Unit, Usage } from "../runtime/runtime.ts";
import { readJsonFile, writeDurably } from "../state/durable-file.ts";
import { Account, countRun, countTraffic, openAccount } from "./counters.ts";

/** closed: the instance is gone; its account leaves with the next row. */
const Stored = z.object({
  nextSeq: z.int().positive(),
  rowFromMs: z.int().nonnegative().nullable(),
  rows: z.array(MeteringRow),
  accounts: z.array(z.object({ account: Account, closed: z.boolean() })),
});
type Stored = z.infer<typeof Stored>;
const FILE = "metering.json";

export class Meter {
  readonly #path: string;
  readonly #limits: AgentLimits;
  #nextSeq: number;
  #rowFromMs: number | null;
  #rows: MeteringRow[];
  readonly #accounts: Map<string, { account: Account; closed: boolean }>;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, limits: AgentLimits, stored: Stored) {
    this.#path = path;
    this.#limits = limits;
    this.#nextSeq = stored.nextSeq;
    this.#rowFromMs = stored.rowFromMs;
    this.#rows = stored.rows;
    this.#accounts = new Map(stored.accounts.map((entry) => [keyOf(entry.account.counters), entry]));
  }

  static async open(dir: string, limits: AgentLimits): Promise<Meter> {
    const path = join(dir, FILE);
    const stored = await readJsonFile(path, Stored);
    return new Meter(path, limits, stored ?? { nextSeq: 1, rowFromMs: null, rows: [], accounts: [] });
  }

  run(unit: Unit, ranMs: number, usage: Usage | null): void {
    this.#change(unit, (account) => countRun(account, unit.life, Math.max(0, ranMs), usage));
  }

  traffic({ startId, instances }: GatewayCounters): void {
    for (const seen of instances) {
      const entry = this.#accounts.get(keyOf(seen));
      if (entry !== undefined) entry.account = countTraffic(entry.account, startId, seen);
    }
  }

  close(unit: { instance: string; generation: number }): void {
    const entry = this.#accounts.get(keyOf(unit));
    if (entry !== undefined) entry.closed = true;
  }

  countersOf(unit: { instance: string; generation: number }): InstanceCounters | null {
    const entry = this.#accounts.get(keyOf(unit));
    return entry === undefined ? null : rounded(entry.account.counters);
  }

  /** Rows that a heartbeat should carry, oldest first. */
  pending(): MeteringRow[] {
    return this.#rows.slice(0, this.#limits.meteringRowsPerBeatMax);
  }

  acknowledge(seq: number): void {
    this.#rows = this.#rows.filter((row) => row.seq > seq);
    // A control plane that has seen more than we remember (our disk was lost): go on behind it.
    this.#nextSeq = Math.max(this.#nextSeq, seq + 1);
  }

  /** Makes a row when its time has come; rows touch and never overlap. */
  tick(nowMs: number): void {
    if (this.#rowFromMs === null || this.#rowFromMs > nowMs) this.#rowFromMs ??= nowMs;
    if (nowMs - this.#rowFromMs < this.#limits.meteringMs) return;
    const instances = [...this.#accounts.values()].map(({ account }) => rounded(account.counters));
    this.#rows.push({ seq: this.#nextSeq, fromMs: this.#rowFromMs, toMs: nowMs, instances });
    this.#rows = this.#rows.slice(-this.#limits.meteringRowsMax);
    this.#nextSeq += 1;
    this.#rowFromMs = nowMs;
    for (const [key, { closed }] of this.#accounts) if (closed) this.#accounts.delete(key);
  }

  save(): Promise<void> {
    this.#writing = this.#writing.then(() =>
      writeDurably(
        this.#path,
        JSON.stringify({
          nextSeq: this.#nextSeq,
          rowFromMs: this.#rowFromMs,
          rows: this.#rows,
          accounts: [...this.#accounts.values()],
        } satisfies Stored),
      ),
    );
    return this.#writing;
  }

  #change(unit: Unit, change: (account: Account) => Account): void {
    const key = keyOf(unit);
    const entry = this.#accounts.get(key) ?? { account: openAccount(unit), closed: false };
    entry.account = change(entry.account);
    this.#accounts.set(key, entry);
  }
}

function keyOf({ instance, generation }: { instance: string; generation: number }): string {
  return `${instance}/${generation}`;
}

function rounded(counters: InstanceCounters): InstanceCounters {
  const { runningMs, cpuMs, memoryByteMs } = counters;
  return {
    ...counters,
    runningMs: Math.floor(runningMs),
    cpuMs: Math.floor(cpuMs),
    memoryByteMs: Math.floor(memoryByteMs),
  };
}
