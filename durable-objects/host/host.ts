// The Host object, named by a hostname: which app that hostname belongs to. One owner; the KV copy follows it.
import type { Result } from "../../contracts/failures.ts";
import type { AppId } from "../../contracts/ids.ts";
import { HostRecord, hostKey } from "../../contracts/route.ts";
import type { ObjectEnv } from "../env.ts";
import type { HostRpc } from "../rpc.ts";
import { messageOf } from "../shared/call.ts";
import { GuardedDurable } from "../shared/guarded-durable.ts";

interface HostSnapshot {
  readonly record: HostRecord | null;
}

export class Host extends GuardedDurable<HostSnapshot> implements HostRpc {
  readonly #env: ObjectEnv;
  #copying: Promise<void> = Promise.resolve();

  constructor(state: DurableObjectState, env: ObjectEnv) {
    super(state, { record: null }, ["claim", "resolve", "release"]);
    this.#env = env;
  }

  /** The first to ask has it, and may ask again; another app is refused until the first has released it. */
  async claim(input: HostRecord): Promise<Result<HostRecord>> {
    const parsed = HostRecord.safeParse(input);
    if (!parsed.success) return { ok: false, failure: { code: "invalid_request", message: parsed.error.message } };
    const wanted = parsed.data;
    const held = this.snapshot.record;
    if (held !== null && (held.app !== wanted.app || held.team !== wanted.team)) {
      return { ok: false, failure: { code: "name_taken", message: `${held.hostname} belongs to another app` } };
    }
    if (held === null) await this.store({ record: wanted });
    await this.#copy(wanted.hostname);
    return { ok: true, value: wanted };
  }

  resolve(_input: { hostname: string }): Promise<Result<HostRecord | null>> {
    return Promise.resolve({ ok: true, value: this.snapshot.record });
  }

  /** Idempotent: a hostname that is free, or another app's, is left as it is. */
  async release(input: { hostname: string; app: AppId }): Promise<Result<null>> {
    if (this.snapshot.record?.app === input.app) {
      await this.store({ record: null });
      await this.#copy(input.hostname);
    }
    return { ok: true, value: null };
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
      console.error(`the copy of ${hostname} in KV was not written: ${messageOf(error)}`);
    }
  }
}
