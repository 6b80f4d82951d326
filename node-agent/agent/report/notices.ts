// What the agent did by itself, once each: numbered and on disk before it is told, repeated until it is acknowledged.
import { join } from "node:path";
import { z } from "zod";
import { NodeNotice, type NodeNoticeKind } from "../../../contracts/node-notices.ts";
import type { InstanceId } from "../../../contracts/ids.ts";
import { readJsonFile, writeDurably } from "../state/durable-file.ts";

const FILE = "notices.json";
/** What one heartbeat may carry (contracts/agent-protocol.ts). */
const PER_BEAT_MAX = 32;
/** A control plane that is away for long gets the newest ones: what a node did yesterday is history. */
const KEPT_MAX = 512;
const MESSAGE_MAX = 500;
/** Keys of notices that were told already, so that what is found again after a restart is not told again. */
const KEYS_MAX = 256;

const Stored = z.object({
  nextSeq: z.int().positive(),
  rows: z.array(NodeNotice),
  keys: z.array(z.string()).default([]),
});

export interface NoticePorts {
  readonly nowMs: () => number;
  /** There is something new to tell. */
  readonly changed: () => void;
}

export class Notices {
  readonly #path: string;
  readonly #ports: NoticePorts;
  #nextSeq: number;
  #rows: NodeNotice[];
  #keys: string[];
  /** Only what is on disk is told: a seq that was given twice would hide a notice. */
  #storedSeq: number;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, ports: NoticePorts, { nextSeq, rows, keys }: z.infer<typeof Stored>) {
    this.#path = path;
    this.#ports = ports;
    this.#nextSeq = nextSeq;
    this.#rows = rows;
    this.#keys = keys;
    this.#storedSeq = nextSeq - 1;
  }

  static async open(dir: string, ports: NoticePorts): Promise<Notices> {
    const path = join(dir, FILE);
    const stored = await readJsonFile(path, Stored).catch(() => null);
    return new Notices(path, ports, stored ?? { nextSeq: 1, rows: [], keys: [] });
  }

  /**
   * key: what it is about, when it may be found more than once. Resolves once it is on disk; where the disk takes nothing it
   * waits for the next write, because nobody's work may fail of a notice.
   */
  add(kind: NodeNoticeKind, instance: InstanceId | null, message: string, key?: string): Promise<void> {
    if (key !== undefined && this.#keys.includes(key)) return Promise.resolve();
    if (key !== undefined) this.#keys = [...this.#keys, key].slice(-KEYS_MAX);
    const atMs = Math.max(0, Math.round(this.#ports.nowMs()));
    this.#rows.push({ seq: this.#nextSeq, kind, instance, message: message.slice(0, MESSAGE_MAX), atMs });
    this.#rows = this.#rows.slice(-KEPT_MAX);
    this.#nextSeq += 1;
    return this.#save().catch(() => undefined);
  }

  /** Those that a heartbeat should carry, oldest first. */
  pending(): NodeNotice[] {
    return this.#rows.filter(({ seq }) => seq <= this.#storedSeq).slice(0, PER_BEAT_MAX);
  }

  acknowledge(seq: number): void {
    const before = this.#rows.length;
    // A control plane that has seen more than we ever gave out (our disk was lost): what we have is told anew, behind that.
    const behind = seq >= this.#nextSeq;
    if (behind) {
      this.#rows = this.#rows.map((row, index) => ({ ...row, seq: seq + 1 + index }));
      this.#nextSeq = seq + 1 + this.#rows.length;
    } else this.#rows = this.#rows.filter((row) => row.seq > seq);
    if (!behind && this.#rows.length === before) return;
    void this.#save().catch(() => undefined);
    if (this.pending().length > 0) this.#ports.changed();
  }

  #save(): Promise<void> {
    const write = this.#writing
      .catch(() => undefined)
      .then(async () => {
        const seq = this.#nextSeq - 1;
        const text = JSON.stringify({ nextSeq: this.#nextSeq, rows: this.#rows, keys: this.#keys });
        await writeDurably(this.#path, text);
        if (seq <= this.#storedSeq) return;
        this.#storedSeq = seq;
        this.#ports.changed();
      });
    this.#writing = write;
    return write;
  }
}
