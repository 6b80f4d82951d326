// A node's power is cut: its packets are dropped, not refused, then everything of it is killed. What visitors and the control plane see.
import { setTimeout as sleep } from "node:timers/promises";
import { Instance, Node, page } from "../../contracts/api.ts";
import { BerthEvent } from "../../contracts/events.ts";
import { hasFailed, startVisitors, type Seen } from "../../dev/load/visitors.ts";
import { callApi } from "../../dev/stack/operator.ts";
import type { Stack } from "../../dev/stack.ts";

const RATE_PER_S = 50;
const BEFORE_MS = 1_000;
const WITHIN_MS = 30_000;
/** The wires are whole again by then, whatever becomes of this process. */
const CUT_MS = 60_000;
/** Often enough for what takes seconds, and within what one team may ask of the API in a minute. */
const ASK_MS = 100;

/** Milliseconds since the node went dark. */
export interface Cut {
  /** The last failed request: when it was sent, and when its visitor knew. 0: none failed. */
  readonly lastFailedSentMs: number;
  readonly lastFailedKnownMs: number;
  readonly failed: number;
  readonly requests: number;
  readonly lostMs: number;
  /** All replicas ready on nodes with power; each of them answered through the edge. */
  readonly wholeMs: number;
  readonly answeringMs: number;
  /** Instances that went dark with the node. */
  readonly instances: number;
}

export async function cutOnce(stack: Stack, app: string, replicas: number): Promise<Cut> {
  const victim = await chooseVictim(stack, app);
  const hostname = `${app}.${stack.baseDomain}`;
  const visitors = startVisitors({ port: stack.edgePort, hostname, ratePerS: RATE_PER_S, everyPost: 2 });
  await sleep(BEFORE_MS);
  const power = stack.nodeSwitch(victim.name);
  const { darkAtMs } = await power.cutPower(CUT_MS);
  try {
    const whole = await untilWhole(stack, { app, replicas, without: victim.name });
    const wholeMs = Date.now() - darkAtMs;
    const answeringMs = (await untilAnswered(visitors.seen, whole, darkAtMs)) - darkAtMs;
    const seen = await visitors.stop();
    const lostMs = (await lostAt(stack, victim.id, darkAtMs)) - darkAtMs;
    const failed = seen.filter(hasFailed);
    if (failed.some(({ endedAtMs }) => endedAtMs < darkAtMs)) throw new Error("requests failed before the cut");
    const last = (at: (one: Seen) => number): number => Math.max(0, ...failed.map((one) => at(one) - darkAtMs));
    return {
      lastFailedSentMs: last((one) => one.startedAtMs),
      lastFailedKnownMs: last((one) => one.endedAtMs),
      failed: failed.length,
      requests: seen.length,
      lostMs,
      wholeMs,
      answeringMs,
      instances: victim.instances,
    };
  } finally {
    await visitors.stop();
    await power.restorePower();
    await untilAllReady(stack);
  }
}

/** The node with the most instances of the app: the first of them by name. */
async function chooseVictim(stack: Stack, app: string): Promise<{ id: string; name: string; instances: number }> {
  const counts = new Map<string, number>();
  for (const { nodeName } of await readyInstances(stack, app)) {
    if (nodeName !== null) counts.set(nodeName, (counts.get(nodeName) ?? 0) + 1);
  }
  const [most] = [...counts].toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  if (most === undefined) throw new Error(`nothing of ${app} is ready`);
  const [name, instances] = most;
  const { id } = await call(stack, `/v1/nodes/${name}`, Node);
  return { id, name, instances };
}

async function untilWhole(stack: Stack, wanted: { app: string; replicas: number; without: string }): Promise<string[]> {
  const untilMs = performance.now() + WITHIN_MS;
  for (;;) {
    const ready = await readyInstances(stack, wanted.app);
    const powered = ready.filter(({ nodeName }) => nodeName !== wanted.without);
    if (powered.length >= wanted.replicas) return powered.map(({ id }) => id);
    if (performance.now() > untilMs) throw new Error(`${wanted.app} is not whole after ${WITHIN_MS / 1_000} s`);
    await sleep(ASK_MS);
  }
}

/** When the last of these instances had answered a visitor. */
async function untilAnswered(seen: readonly Seen[], instances: readonly string[], fromMs: number): Promise<number> {
  const untilMs = performance.now() + WITHIN_MS;
  for (;;) {
    const firsts = instances.map((id) =>
      seen.find((one) => one.instance === id && one.endedAtMs >= fromMs && !hasFailed(one)),
    );
    if (firsts.every((one) => one !== undefined)) return Math.max(...firsts.map((one) => one.endedAtMs));
    if (performance.now() > untilMs) throw new Error("a replica that is ready answered nobody");
    await sleep(ASK_MS);
  }
}

/** As its Cell saw it; history is a moment behind. */
async function lostAt(stack: Stack, node: string, afterMs: number): Promise<number> {
  const untilMs = performance.now() + WITHIN_MS;
  for (;;) {
    const { items } = await call(stack, `/v1/nodes/${node}/events?limit=20`, page(BerthEvent));
    const lost = items.find((event) => event.type === "node.lost" && event.atMs >= afterMs);
    if (lost !== undefined) return lost.atMs;
    if (performance.now() > untilMs) throw new Error("history has no loss of the node");
    await sleep(ASK_MS);
  }
}

async function untilAllReady(stack: Stack): Promise<void> {
  const untilMs = performance.now() + WITHIN_MS;
  for (;;) {
    const { items } = await call(stack, "/v1/nodes", page(Node));
    if (items.every(({ phase }) => phase === "ready")) return;
    if (performance.now() > untilMs) throw new Error("the node did not come back");
    await sleep(ASK_MS);
  }
}

async function readyInstances(stack: Stack, app: string): Promise<Instance[]> {
  const { items } = await call(stack, `/v1/apps/${app}/instances`, page(Instance));
  return items.filter(({ phase }) => phase === "ready");
}

const call = <Schema extends Parameters<typeof callApi>[1]["schema"]>(stack: Stack, path: string, schema: Schema) =>
  callApi(stack.controlUrl, { schema, method: "GET", path, token: stack.operator.token });
