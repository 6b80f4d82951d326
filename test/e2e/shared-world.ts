// One stack for several suites that need the same kind: it comes up once, and each suite finds it without apps and with all nodes open.
import { afterAll, beforeAll, describe, expect } from "vitest";
import { nodesAre, nodesOf } from "./nodes-support.ts";
import { createWorld, eventually, type World } from "./support.ts";

let shared: World | null = null;
let isClean = true;

/** By their names, in the order in which they run. */
type Suites = Readonly<Record<string, () => Promise<unknown>>>;

/** A test file's suites: modules that register their tests when they are loaded, and ask for the world before those run. */
export function onOneStack(suites: Suites, ...wanted: Parameters<typeof createWorld>): void {
  beforeAll(async () => {
    shared = await createWorld(...wanted);
    isClean = true;
  });
  afterAll(async () => {
    await shared?.end();
    shared = null;
  });
  for (const [name, load] of Object.entries(suites)) describe(name, async () => void (await load()));
}

/** The file's stack, for a suite that begins. What the suite before left in it is gone. */
export async function sharedWorld(): Promise<World> {
  if (shared === null) throw new Error("its test file loads it outside of onOneStack()");
  if (!isClean) await leaveClean(shared);
  isClean = false;
  return shared;
}

/** No app and no container of one is left, and every node takes placements. */
export async function leaveClean(world: World): Promise<void> {
  const key = () => ({ "idempotency-key": crypto.randomUUID() });
  const apps = async (): Promise<{ name: string }[]> => (await world.api("GET", "/v1/apps?limit=100")).body.items;
  for (const { name } of await apps()) {
    const destroyed = await world.api("DELETE", `/v1/apps/${name}`, undefined, key());
    // One that was being destroyed may be gone by now.
    expect([202, 204, 404], JSON.stringify(destroyed.body)).toContain(destroyed.status);
  }
  for (const { name, cordoned } of await nodesOf(world)) {
    if (cordoned) await world.api("POST", `/v1/nodes/${name}/uncordon`, undefined, key());
  }
  await eventually(apps, (left) => left.length === 0, { withinMs: 60_000 });
  const isEmpty = ({ cordoned, instances }: { cordoned: boolean; instances: number }) => !cordoned && instances === 0;
  await eventually(
    () => nodesOf(world),
    (nodes) => nodes.every(isEmpty),
    { withinMs: 60_000 },
  );
  if (world.stack.agents.length > 0) await nodesAre(world, "ready");
  isClean = true;
}
