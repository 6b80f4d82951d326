// The Worker around the Cell on the bench: it is the Apps, in the same workerd, so that nothing but the objects is measured.
import { WorkerEntrypoint } from "cloudflare:workers";
import type { CellName } from "../../../contracts/ids.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { CellRpc, OutboxSinkRpc } from "../../../durable-objects/rpc.ts";
import type { ObjectEnv } from "../../../durable-objects/env.ts";
import type { Run } from "../run.ts";
import type { Raw } from "./raw.ts";
import { appId, desiredOf, enrolNodes, slotOf } from "./wants.ts";

export { Cell, Region } from "../../../durable-objects/index.ts";
export { Raw } from "./raw.ts";

/** Takes the events of the enrolments; reserving and committing make none. */
export class OutboxSink extends WorkerEntrypoint implements OutboxSinkRpc {
  async accept({ events }: Parameters<OutboxSinkRpc["accept"]>[0]): Promise<Result<{ lastSeq: number }>> {
    return { ok: true, value: { lastSeq: events.at(-1)?.seq ?? 0 } };
  }
}

interface BenchEnv extends ObjectEnv {
  readonly RAW: DurableObjectNamespace<Raw>;
}

export default {
  async fetch(request: Request, env: BenchEnv): Promise<Response> {
    const run = await request.json<Run>();
    if (run.kind === "enrol") {
      await enrolNodes(env.CELL.getByName(run.name), run.name as CellName);
      return Response.json({ tookMs: 0 });
    }
    const beganMs = Date.now();
    let next = run.from;
    const end = run.from + run.count;
    const one = run.kind === "raw" ? inserts(env, run) : placements(env, run);
    const work = async (lane: number) => {
      while (next < end) {
        const from = next;
        next += run.batch;
        await one(lane, from, Math.min(run.batch, end - from));
      }
    };
    await Promise.all(Array.from({ length: run.width }, (_, lane) => work(lane)));
    return Response.json({ tookMs: Date.now() - beganMs });
  },
};

type One = (lane: number, from: number, count: number) => Promise<void>;

/** Each lane is an App: one call of it at a time, numbered; reserve, then commit what was granted. */
function placements(env: BenchEnv, { name, from: first, batch }: Run): One {
  const cell: CellRpc = env.CELL.getByName(name);
  const seqs = new Map<number, number>();
  return async (lane, from, count) => {
    const app = 1 + lane + 1_000 * first;
    const numbers = Array.from({ length: count }, (_, at) => from + at);
    const key = `${first}/${batch}/${from}`;
    const slots = numbers.map(slotOf);
    const team = "team_bench";
    const asked = {
      app: appId(app),
      team: team as never,
      appName: `app-${app}`,
      key,
      leaseMs: 30_000,
      occupied: [],
      slots,
    };
    const reserved = await cell.reserve(asked);
    if (!reserved.ok || reserved.value.placements.length !== count)
      throw new Error(JSON.stringify(reserved).slice(0, 500));
    const seq = (seqs.get(lane) ?? 0) + 1;
    seqs.set(lane, seq);
    const instances = numbers.map((n) => desiredOf(n, app));
    const committed = await cell.commit({ key: `c${key}`, app: appId(app), seq, instances, routeVersion: 1 });
    if (!committed.ok) throw new Error(JSON.stringify(committed));
  };
}

/** As many rows as there are placements, of the size of an instance's row. */
function inserts(env: BenchEnv, { name }: Run): One {
  const raw = env.RAW.getByName(name);
  const value = JSON.stringify({ desired: desiredOf(1, 1), node: "node", state: { kind: "desired" } });
  return async (_, from, count) => {
    const keys = Array.from({ length: count }, (_, at) => `${from + at}`);
    await raw.insert({ keys, value });
  };
}
