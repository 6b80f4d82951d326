// The Host object, named by a hostname: which app that hostname belongs to. One owner; the KV copy follows it.
import type { Result } from "../../contracts/failures.ts";
import type { AppId } from "../../contracts/ids.ts";
import { HostRecord, hostKey } from "../../contracts/route.ts";
import type { CopyPage, DumpInput, LoadInput } from "../../core/restore/types.ts";
import type { ObjectEnv } from "../env.ts";
import type { HostRpc } from "../rpc.ts";
import { messageOf } from "../shared/call.ts";
import { GuardedDurable } from "../shared/guarded-durable.ts";

interface HostSnapshot {
  readonly record: HostRecord | null;
  /** Of a custom domain: the newest change of its holder that was heard of. Absent in what is stored since before there were any. */
  readonly revision?: number;
}

const refused = (code: "name_taken" | "conflict", message: string) =>
  ({ ok: false, failure: { code, message } }) as const;
const overtaken = (revision: number, known: number) =>
  refused("conflict", `revision ${revision} is older than ${known}`);

export class Host extends GuardedDurable<HostSnapshot> implements HostRpc {
  readonly #env: ObjectEnv;
  #copying: Promise<void> = Promise.resolve();

  constructor(state: DurableObjectState, env: ObjectEnv) {
    super(state, { record: null }, ["claim", "resolve", "release", "dump", "load"]);
    this.#env = env;
  }

  /**
   * The first to ask has it, and may ask again; another app is refused until the first has released it. With a revision Postgres has
   * decided already: the newest one has it. Neither takes what the other kind gave.
   */
  async claim(input: HostRecord & { revision?: number }): Promise<Result<HostRecord>> {
    const parsed = HostRecord.safeParse(input);
    if (!parsed.success) return { ok: false, failure: { code: "invalid_request", message: parsed.error.message } };
    const wanted = parsed.data;
    const { record: held, revision: known } = this.snapshot;
    const { revision } = input;
    const same = held !== null && held.app === wanted.app && held.team === wanted.team;
    const decided = revision !== undefined && known !== undefined;
    if (decided && revision < known) return overtaken(revision, known);
    if (held !== null && !same && !decided) return refused("name_taken", `${held.hostname} belongs to another app`);
    if (!same || (revision !== undefined && revision !== known)) {
      await this.store({ record: wanted, ...(revision === undefined ? {} : { revision }) });
    }
    await this.#copy(wanted.hostname);
    return { ok: true, value: wanted };
  }

  resolve(_input: { hostname: string }): Promise<Result<HostRecord | null>> {
    return Promise.resolve({ ok: true, value: this.snapshot.record });
  }

  dump({ page }: DumpInput): Promise<Result<CopyPage>> {
    const { record } = this.snapshot;
    if (page > 0) return Promise.resolve(refused("conflict", "a hostname's copy has one page"));
    const text =
      record === null && this.snapshot.revision === undefined
        ? ""
        : `${JSON.stringify(["snapshot", "snapshot", this.snapshot])}\n`;
    return Promise.resolve({ ok: true, value: { copy: "host", layout: 1, rows: text === "" ? 0 : 1, pages: 1, text } });
  }

  /** Revisions are Postgres', which is restored with them. */
  async load({ text }: LoadInput): Promise<Result<null>> {
    if (text === "") return { ok: true, value: null };
    const [, , snapshot] = JSON.parse(text) as [string, string, HostSnapshot];
    const { record, revision } = this.snapshot;
    const same = JSON.stringify(this.snapshot) === JSON.stringify(snapshot);
    if (!same && (record !== null || revision !== undefined)) return refused("conflict", "This object is not empty.");
    if (!same) await this.store(snapshot);
    if (snapshot.record !== null) await this.#copy(snapshot.record.hostname);
    return { ok: true, value: null };
  }

  /** Idempotent: a hostname that is free, or another app's, is left as it is. With a revision it is free for whoever had it. */
  async release(input: { hostname: string; app: AppId; revision?: number }): Promise<Result<null>> {
    const { record, revision: known } = this.snapshot;
    const { revision } = input;
    if (revision === undefined) {
      if (known === undefined && record?.app === input.app) await this.#free(input.hostname, {});
    } else if (known !== undefined && revision < known) {
      return overtaken(revision, known);
    } else if (known !== undefined || record === null) {
      await this.#free(input.hostname, { revision });
    }
    return { ok: true, value: null };
  }

  async #free(hostname: string, at: { revision?: number }): Promise<void> {
    await this.store({ record: null, ...at });
    await this.#copy(hostname);
  }

  /** One write after the other, each of what is so by then: two writes in flight could land in either order. */
  #copy(hostname: string): Promise<void> {
    this.#copying = this.#copying.then(() => this.#copyNow(hostname));
    return this.#copying;
  }

  /** KV serves the edge's first look-up. Without it the edge asks this object, so a failed write is only slower. */
  async #copyNow(hostname: string): Promise<void> {
    try {
      const { record } = this.snapshot;
      if (record === null) await this.#env.ROUTES.delete(hostKey(hostname));
      else await this.#env.ROUTES.put(hostKey(hostname), JSON.stringify(record));
    } catch (error) {
      console.error(JSON.stringify({ at: "kv", hostname, unwritten: messageOf(error) }));
    }
  }
}
