// What SQLite itself takes: rows of the objects' own table, inserted in one transaction per call, and nothing decided.
import { DurableObject } from "cloudflare:workers";
import type { ObjectEnv } from "../../../durable-objects/env.ts";
import { LAYOUT } from "../../../durable-objects/shared/layout.ts";
import { migrate } from "../../../durable-objects/shared/migrations.ts";

export class Raw extends DurableObject<ObjectEnv> {
  constructor(state: DurableObjectState, env: ObjectEnv) {
    super(state, env);
    void state.blockConcurrencyWhile(async () => migrate(state.storage, LAYOUT));
  }

  /** Answered once it is on disk, as every answer of an object is. */
  async insert({ keys, value }: { keys: readonly string[]; value: string }): Promise<number> {
    const { sql } = this.ctx.storage;
    this.ctx.storage.transactionSync(() => {
      for (const key of keys) {
        sql.exec("INSERT INTO object_row (table_name, row_key, value) VALUES (?, ?, ?)", "instances", key, value);
      }
    });
    return keys.length;
  }
}
