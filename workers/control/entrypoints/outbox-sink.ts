// Where the objects' events enter Postgres: in their order, each once in effect.
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Result } from "../../../contracts/failures.ts";
import { acceptEvents } from "../../../db/queries/outbox.ts";
import type { OutboxSinkRpc } from "../../../durable-objects/rpc.ts";
import type { ControlEnv } from "../env.ts";
import { databaseOf } from "../http/database.ts";
import { failureOf } from "../http/problem.ts";

export class OutboxSink extends WorkerEntrypoint<ControlEnv> implements OutboxSinkRpc {
  /** Never throws: while Postgres is away the rows wait where they are. */
  async accept(input: Parameters<OutboxSinkRpc["accept"]>[0]): Promise<Result<{ lastSeq: number }>> {
    try {
      return await acceptEvents(databaseOf(this.env), input);
    } catch (error) {
      const { failure } = failureOf(error);
      if (failure.code !== "database_unavailable") {
        console.error(JSON.stringify({ at: "outbox", source: input.source, error: (error as Error)?.name }));
      }
      return { ok: false, failure };
    }
  }
}
