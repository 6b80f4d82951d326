// What the tests of nodes share: three racks, what runs in a node's own network, and the story that the command tells.
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { startVisitors, type Visitors } from "../../dev/load/visitors.ts";
import { processesIn } from "../../dev/network/namespaces.ts";
import type { Ran } from "../cli/run-berth.ts";
import { SMALL, eventually, versionServer, writeApp, type World } from "./support.ts";

export interface InstanceView {
  readonly id: string;
  readonly ordinal: number;
  readonly generation: number;
  readonly nodeName: string | null;
  readonly phase: string;
  readonly restarts: number;
}
export interface NodeView {
  readonly id: string;
  readonly name: string;
  readonly phase: string;
  readonly cordoned: boolean;
  readonly lastHeartbeatAtMs: number;
  readonly instances: number;
  readonly drain: { readonly state: string; readonly remaining: number } | null;
}

export async function nodesOf(world: World): Promise<NodeView[]> {
  const { status, body } = await world.api("GET", "/v1/nodes");
  expect(status, JSON.stringify(body)).toBe(200);
  return body.items;
}

export const nodesAre = (world: World, phase: string, options: { withinMs?: number } = {}) =>
  eventually(
    () => nodesOf(world),
    (nodes) => nodes.length > 0 && nodes.every((node) => node.phase === phase),
    { withinMs: 60_000, ...options },
  );

export const nodeIs = (world: World, name: string, phase: string, withinMs = 60_000) =>
  eventually(
    async () => (await world.api("GET", `/v1/nodes/${name}`)).body as NodeView,
    (node) => node.phase === phase,
    { withinMs },
  );

export async function instancesOf(world: World, app: string): Promise<InstanceView[]> {
  return (await world.api("GET", `/v1/apps/${app}/instances?limit=100`)).body.items;
}

/** Deploys a small app and waits for it; toml replaces `replicas = 3`. */
export async function deployed(
  world: World,
  app: string,
  toml = "replicas = 3\n",
  server = versionServer(app),
  resources = SMALL,
) {
  const folder = writeApp(world.home, app, { "server.mjs": server }, `${toml}${resources}`);
  const ran = await world.berth(["deploy", folder]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
}

export async function readyOf(world: World, app: string): Promise<InstanceView[]> {
  return (await instancesOf(world, app)).filter(({ phase }) => phase === "ready");
}

/** Those that had become ready and were not told to go: one whose probe comes late on a busy machine is still there. */
export async function servingOf(world: World, app: string): Promise<InstanceView[]> {
  return (await instancesOf(world, app)).filter(({ phase }) => phase === "ready" || phase === "unready");
}

/** A command that must end well. */
export async function command(world: World, ...args: readonly string[]): Promise<Ran> {
  const ran = await world.berth(args);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  return ran;
}

/** Whatever is placed meanwhile goes to this node. */
export async function onlyOn<Value>(world: World, node: string, during: () => Promise<Value>): Promise<Value> {
  const others = world.stack.agents.map(({ name }) => name).filter((name) => name !== node);
  const tell = (word: string) =>
    Promise.all(
      others.map(async (name) => {
        const key = { "idempotency-key": crypto.randomUUID() };
        expect(await world.api("POST", `/v1/nodes/${name}/${word}`, undefined, key)).toMatchObject({ status: 202 });
      }),
    );
  await tell("cordon");
  const value = await during();
  await tell("uncordon");
  return value;
}

export function visitorsOf(world: World, app: string, ratePerS: number, everyPost = 2): Visitors {
  return startVisitors({
    port: world.stack.edgePort,
    hostname: `${app}.${world.stack.baseDomain}`,
    ratePerS,
    everyPost,
  });
}

/** The instances whose processes run in a node's own network, whatever the control plane believes. */
export async function runningOn(world: World, name: string): Promise<string[]> {
  const network = world.stack.agents.find((agent) => agent.name === name)?.network;
  if (!network) throw new Error(`${name} has no network of its own`);
  const found = new Set<string>();
  for (const pid of await processesIn(network.namespace)) {
    const instance = /(?:^|\0)BERTH_INSTANCE=([^\0]+)/.exec(environmentOf(pid))?.[1];
    if (instance !== undefined) found.add(instance);
  }
  return [...found].toSorted();
}

/** As /proc has it, each variable with a NUL behind it; empty where it is gone. */
export function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch {
    return "";
  }
}

/** The story that `berth` tells of an app or a node, once it is told up to `until`. History is a moment behind. */
export async function storyOf(world: World, command: readonly string[], until: RegExp): Promise<string> {
  const told = async () => (await world.berth(command)).stdout;
  return eventually(told, (text) => until.test(text), { withinMs: 60_000, everyMs: 300 });
}
