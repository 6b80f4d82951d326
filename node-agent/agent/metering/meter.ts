// The node's meter: accounts of all instances and the rows made of them, on disk; rows are kept until acknowledged.
import { join } from "node:path";
import { z } from "zod";
import { type InstanceCounters, MeteringRow, WATCHED_MAX } from "../../../contracts/agent-protocol.ts";
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
/** Of watched apps alone and of no rows, so that it can be written as often as it is told. */
const WATCHED_FILE = "metering-watched.json";
const StoredWatched = z.object({ accounts: z.array(Account) });

export class Meter {
  readonly #path: string;
  readonly #watchedPath: string;
  readonly #limits: AgentLimits;
  #nextSeq: number;
  #rowFromMs: number | null;
  #rows: MeteringRow[];
  readonly #accounts: Map<string, { account: Account; closed: boolean }>;
  #writing: Promise<void> = Promise.resolve();
  /** Watched accounts as they are on disk, which is all that may be told: what was told never falls, whatever dies. */
  #watched: readonly InstanceCounters[] = [];
  #firstTold = 0;
  /** An account was opened that is not on disk. */
  #hasNew = false;

  private constructor(dir: string, limits: AgentLimits, stored: Stored) {
    this.#path = join(dir, FILE);
    this.#watchedPath = join(dir, WATCHED_FILE);
    this.#limits = limits;
    this.#nextSeq = stored.nextSeq;
    this.#rowFromMs = stored.rowFromMs;
    this.#rows = stored.rows;
    this.#accounts = new Map(stored.accounts.map((entry) => [keyOf(entry.account.counters), entry]));
  }

  static async open(dir: string, limits: AgentLimits): Promise<Meter> {
    const stored = await readJsonFile(join(dir, FILE), Stored);
    const meter = new Meter(dir, limits, stored ?? { nextSeq: 1, rowFromMs: null, rows: [], accounts: [] });
    const watched = await readJsonFile(join(dir, WATCHED_FILE), StoredWatched).catch(() => null);
    for (const account of watched?.accounts ?? []) meter.#takeNewer(account);
    return meter;
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

  /** An instance that has just been started is told of from its first request on. */
  know(unit: Unit): void {
    this.#change(unit, (account) => account);
  }

  /** What a heartbeat may tell of these apps, as of the last saveWatched; of too many the next ones at each call. */
  watched(apps: ReadonlySet<string>): InstanceCounters[] {
    const all = this.#watched.filter(({ app }) => apps.has(app));
    if (all.length <= WATCHED_MAX) return all;
    const first = this.#firstTold % all.length;
    this.#firstTold = first + WATCHED_MAX;
    return [...all.slice(first), ...all.slice(0, first)].slice(0, WATCHED_MAX);
  }

  /** A disk that takes nothing does not keep a rollout from being judged. */
  async saveWatched(apps: ReadonlySet<string>): Promise<void> {
    const entries = [...this.#accounts.values()].filter(
      ({ account, closed }) => !closed && apps.has(account.counters.app),
    );
    const accounts = entries.map(({ account }) => account);
    const counters = accounts.map((account) => rounded(account.counters));
    if (this.#hasNew) await this.save().catch(() => undefined);
    const text = JSON.stringify({ accounts } satisfies z.infer<typeof StoredWatched>);
    await writeDurably(this.#watchedPath, text).catch(() => undefined);
    this.#watched = counters;
  }

  /**
   * Nothing is watched: what was read last grows old. Whoever watches again must not hear it, since what came between that reading and
   * the next one would look as if it came while he watched.
   */
  forgetWatched(): void {
    this.#watched = [];
  }

  close(unit: { instance: string; generation: number }): void {
    const entry = this.#accounts.get(keyOf(unit));
    if (entry !== undefined) entry.closed = true;
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
    const instances = [...this.#accounts.values()].map(({ account }) => ({
      ...rounded(account.counters),
      latency: [],
    }));
    this.#rows.push({ seq: this.#nextSeq, fromMs: this.#rowFromMs, toMs: nowMs, instances });
    this.#rows = this.#rows.slice(-this.#limits.meteringRowsMax);
    this.#nextSeq += 1;
    this.#rowFromMs = nowMs;
    for (const [key, { closed }] of this.#accounts) if (closed) this.#accounts.delete(key);
  }

  save(): Promise<void> {
    this.#hasNew = false;
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
    const known = this.#accounts.get(key);
    const entry = known ?? { account: openAccount(unit), closed: false };
    entry.account = change(entry.account);
    this.#accounts.set(key, entry);
    if (known === undefined) this.#hasNew = true;
  }

  /** Of two states of one account the later: nothing in it ever falls. One that the other file has no more is over. */
  #takeNewer(account: Account): void {
    const entry = this.#accounts.get(keyOf(account.counters));
    if (entry !== undefined && extentOf(account) > extentOf(entry.account)) entry.account = account;
  }
}

function keyOf({ instance, generation }: { instance: string; generation: number }): string {
  return `${instance}/${generation}`;
}

function extentOf({ counters: { requests, bytesIn, bytesOut, runningMs, cpuMs } }: Account): number {
  return requests + bytesIn + bytesOut + runningMs + cpuMs;
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
