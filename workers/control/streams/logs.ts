// The logs of an app: those of its instances, merged by time; with follow, as they come, new instances included.
import type { Instance } from "../../../contracts/api.ts";
import type { CellName, InstanceId, NodeId } from "../../../contracts/ids.ts";
import type { AppRecord } from "../../../db/queries/apps.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import { unwrap } from "../http/respond.ts";
import { instanceLog, type InstanceLogLine } from "./log-source.ts";
import { KEEP_ALIVE_MS, outgoing, type Outgoing } from "./outgoing.ts";

export interface LogStream {
  readonly app: AppRecord;
  readonly instance: InstanceId | null;
  readonly tail: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
  readonly stillAllowed: () => Promise<boolean>;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** Newest first beyond it: one Worker should not hold more streams open at once. */
const INSTANCES_MAX = 50;
/** How soon the lines of a new instance begin to show. */
const LOOK_AGAIN_MS = 3_000;

export function logStream(env: ControlEnv, stream: LogStream): ReadableStream<Uint8Array> {
  const out = outgoing(stream.signal);
  const stop = new AbortController();
  out.onEnd(() => stop.abort());
  const work = stream.follow ? follow(env, stream, out, stop.signal) : merge(env, stream, out, stop.signal);
  stream.waitUntil(work.catch(() => undefined).finally(() => out.close()));
  return out.readable;
}

/** Oldest line first over all instances; holds one line of each in memory. */
async function merge(env: ControlEnv, stream: LogStream, out: Outgoing, signal: AbortSignal): Promise<void> {
  const sources = await sourcesOf(env, stream, signal, new Set());
  const heads = await Promise.all(sources.map((source) => source.next()));
  for (;;) {
    let first = -1;
    for (const [at, head] of heads.entries()) {
      const earliest = heads[first];
      if (!head.done && (earliest === undefined || earliest.done || head.value.atMs < earliest.value.atMs)) first = at;
    }
    const head = heads[first];
    const source = sources[first];
    if (head === undefined || head.done || source === undefined) return;
    if (!(await out.write(`${JSON.stringify(head.value)}\n`))) return;
    heads[first] = await source.next();
  }
}

async function follow(env: ControlEnv, stream: LogStream, out: Outgoing, signal: AbortSignal): Promise<void> {
  const followed = new Set<InstanceId>();
  let writtenAtMs = Date.now();
  const pump = async (source: AsyncGenerator<InstanceLogLine>) => {
    for await (const line of source) {
      if (!(await stream.stillAllowed())) return out.close();
      if (!(await out.write(`${JSON.stringify(line)}\n`))) return;
      writtenAtMs = Date.now();
    }
  };
  while (!out.gone) {
    for (const source of await sourcesOf(env, stream, signal, followed)) void pump(source).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    if (!(await stream.stillAllowed())) return;
    // An empty line is not a record of NDJSON: readers skip it, and a gone reader is noticed.
    if (Date.now() - writtenAtMs > KEEP_ALIVE_MS) {
      await out.write("\n");
      writtenAtMs = Date.now();
    }
  }
}

/** Of the instances not yet followed; they count as followed from now on. */
async function sourcesOf(
  env: ControlEnv,
  { app, instance, tail, follow: following }: LogStream,
  signal: AbortSignal,
  followed: Set<InstanceId>,
): Promise<AsyncGenerator<InstanceLogLine>[]> {
  const all = instance !== null;
  const listed = await ask(() => env.APP.getByName(app.id).listInstances({ all }), { repeatable: true });
  const wanted = unwrap(listed)
    .items.filter((item) => item.node !== null && !followed.has(item.id) && (instance === null || item.id === instance))
    .sort((a, b) => b.createdAtMs - a.createdAtMs)
    .slice(0, Math.max(0, INSTANCES_MAX - followed.size));
  const gateways = await gatewaysOf(env, wanted);
  return wanted.map((item) => {
    followed.add(item.id);
    const gatewayUrl = item.node === null ? null : (gateways.get(item.node) ?? null);
    return instanceLog(env, { team: app.team, instance: item, gatewayUrl, tail, follow: following, signal });
  });
}

async function gatewaysOf(env: ControlEnv, instances: readonly Instance[]): Promise<Map<NodeId, string>> {
  const cells = new Set(instances.flatMap(({ cell }) => (cell === null ? [] : [cell])));
  const lists = await Promise.all(
    [...cells].map(async (cell: CellName) => {
      const nodes = await ask(() => env.CELL.getByName(cell).listNodes(), { repeatable: true }).catch(() => null);
      return nodes?.ok ? nodes.value.items : [];
    }),
  );
  return new Map(lists.flat().map((node) => [node.id, node.gatewayUrl]));
}
