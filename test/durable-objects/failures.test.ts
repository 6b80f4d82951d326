// A call between objects that fails, before it took effect or after: the work is done all the same, and once.
import { env } from "cloudflare:workers";
import { evictAllDurableObjects } from "cloudflare:test";
import { beforeEach, expect, it } from "vitest";
import type { AppId, NodeId } from "../../contracts/ids.ts";
import { asked, cellsIn, eventually, identityOf, readyNode, releaseOf } from "./fleet.ts";
import { recorded, resetRecorded } from "./recorded.ts";

beforeEach(resetRecorded);

const CALLS = [
  "Cell.reserve",
  "Cell.commit",
  "Cell.update",
  "App.deliver",
  "Region.cells",
  "Host.claim",
  "Host.release",
];

const cases = CALLS.flatMap((call) => [
  { call, when: "before" as const },
  { call, when: "after" as const },
]);

let made = 0;

it.each(cases)("a deploy and its end happen once although $call fails $when it took effect", async ({ call, when }) => {
  made += 1;
  const node = await readyNode(1, `${call.replace(".", "-").toLowerCase()}-${when}.0`);
  const app = `app_01jzzzzzzze0a00000000002${String(made).padStart(2, "0")}` as AppId;
  const stub = () => env.APP.getByName(app);
  const identity = identityOf(app, node.cell);
  const [hostname = ""] = identity.hostnames;

  recorded.failing.set(call, when);
  await stub().create({ ...asked, ...identity, replicas: 1 });
  const accepted = await stub().acceptRelease(releaseOf());
  expect(accepted).toMatchObject({ ok: true, value: { rollout: { phase: "rolling" } } });
  // The failure is seen where this part of the story has such a call; then all works, after a restart that forgets waits.
  await eventually(async () => {
    await mendOnceSeen();
    await stub().poke();
    await node.receive(500);
    expect(node.desired?.instances.map((instance) => instance.app)).toEqual([app]);
  });
  await node.heartbeat();
  await eventually(() => expect(recorded.failed).toContain(call), 700).catch(() => {});
  await eventually(async () => {
    await mendOnceSeen();
    await node.heartbeat();
    await stub().poke();
    expect(await stub().read({})).toMatchObject({ ok: true, value: { readyInstances: 1 } });
  });
  expect(await placedOn(node.stub, node.id)).toBe(1);

  await stub().destroy(asked);
  if (recorded.failing.size > 0) {
    await eventually(() => expect(recorded.failed).toContain(call));
    await mend();
  }
  await eventually(async () => {
    await stub().poke();
    expect(await env.HOST.getByName(hostname).resolve({ hostname })).toEqual({ ok: true, value: null });
  });

  async function mendOnceSeen(): Promise<void> {
    if (recorded.failing.size > 0 && recorded.failed.includes(call)) await mend();
  }
  async function mend(): Promise<void> {
    recorded.failing.clear();
    await evictAllDurableObjects();
    node.restart(`boot-after-${made}`);
    await node.heartbeat();
  }
});

it("a Region that cannot be told is told by the next change", async () => {
  const node = await readyNode(1, "untold.0");
  recorded.failing.set("Region.report", "before");
  const second = await readyNode(2, "untold.0");
  await eventually(() => expect(recorded.failed).toContain("Region.report"));
  recorded.failing.clear();
  await second.stub.revoke({ node: second.id, actor: "user:operator" });
  await eventually(async () => {
    const [told] = await cellsIn("untold");
    const current = await node.stub.summary();
    expect(told?.nodes).toBe(current.ok && current.value.nodes);
  });
});

async function placedOn(stub: ReturnType<typeof env.CELL.getByName>, node: NodeId): Promise<number> {
  const answer = await stub.readNode({ node });
  return answer.ok ? answer.value.instances : -1;
}
