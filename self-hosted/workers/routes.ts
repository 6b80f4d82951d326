// Routes in one SQLite object: written by the objects, read by the edge. What is written is read by the next reader.
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import type { RouteStore } from "../../durable-objects/env.ts";

interface RouteTableRpc {
  read(key: string): Promise<string | null>;
  write(key: string, value: string | null): Promise<void>;
}

interface StoresEnv {
  readonly TABLE: { getByName(name: string): RouteTableRpc };
}

export class RouteTable extends DurableObject {
  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    ctx.storage.sql.exec("create table if not exists routes (key text primary key, value text not null)");
  }

  read(key: string): string | null {
    const [row] = this.ctx.storage.sql.exec<{ value: string }>("select value from routes where key = ?", key);
    return row?.value ?? null;
  }

  /** null: there is none any more. */
  write(key: string, value: string | null): void {
    const { sql } = this.ctx.storage;
    if (value === null) sql.exec("delete from routes where key = ?", key);
    else
      sql.exec("insert into routes values (?, ?) on conflict (key) do update set value = excluded.value", key, value);
  }
}

/** As the Workers are bound to KV. There is no cache between, so `cacheTtl` has nothing to say. */
export class Routes extends WorkerEntrypoint<StoresEnv> implements RouteStore {
  async get(key: string): Promise<unknown> {
    const text = await this.#table.read(key);
    return text === null ? null : (JSON.parse(text) as unknown);
  }

  put(key: string, value: string): Promise<void> {
    return this.#table.write(key, value);
  }

  delete(key: string): Promise<void> {
    return this.#table.write(key, null);
  }

  get #table(): RouteTableRpc {
    return this.env.TABLE.getByName("routes");
  }
}
