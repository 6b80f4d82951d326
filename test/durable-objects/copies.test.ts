// Objects' copies: out as of one moment, into empty objects whole or not at all; and what comes to life from them goes on.
import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { RESTORE_SKIP, type ObjectPage } from "../../contracts/backup.ts";
import type { AppId } from "../../contracts/ids.ts";
import { routeKey, type Route } from "../../contracts/route.ts";
import type { CopyRpc } from "../../durable-objects/rpc.ts";
import { asked, eventually, type FleetNode, identityOf, readyNode, releaseOf } from "./fleet.ts";
import { place } from "./placed.ts";
import { recorded, resetRecorded } from "./recorded.ts";

beforeEach(resetRecorded);

const app = "app_01jzzzzzzze0a0000000000777" as AppId;
type Copied = Pick<ObjectPage, "layout" | "text">[];

async function dumped(object: CopyRpc): Promise<Copied> {
  const pages: Copied = [];
  for (let copy: string | null = null; ;) {
    const answer = await object.dump({ copy, page: pages.length });
    if (!answer.ok) throw new Error(answer.failure.message);
    pages.push({ layout: answer.value.layout, text: answer.value.text });
    copy = answer.value.copy;
    if (pages.length === answer.value.pages) return pages;
  }
}
async function loaded(object: CopyRpc, pages: Copied, more: { backup?: string; apps?: AppId[] } = {}) {
  for (const [page, { layout, text }] of pages.entries()) {
    const input = { backup: "one", page, pages: pages.length, layout, text, eventSeq: 3_000_000, ...more };
    const answer = await object.load(input);
    if (!answer.ok) return answer;
  }
  return { ok: true };
}
/** As a new platform's: nothing stored, nothing remembered. */
async function wiped(stub: object): Promise<void> {
  await runInDurableObject(stub as DurableObjectStub, async (_object, state) => {
    await state.storage.deleteAlarm();
    await state.storage.deleteAll();
  });
  await evictDurableObject(stub as DurableObjectStub);
}

async function serving(node: FleetNode): Promise<Route> {
  const stub = env.APP.getByName(app);
  await stub.create({ ...asked, ...identityOf(app, node.cell), replicas: 1 });
  await stub.acceptRelease(releaseOf());
  await eventually(async () => expect((await node.receive()).instances).toHaveLength(1));
  await node.heartbeat();
  const verification = await eventually(() => {
    const last = recorded.verifications.findLast((one) => one.app === app);
    if (last === undefined) throw new Error("the verifier was not asked");
    return last;
  });
  const results = verification.instances.map((instance) => ({ instance, generation: 1, ok: true, message: "200" }));
  await stub.verified({ rollout: verification.rollout, results });
  return eventually(async () => {
    const route = (await env.ROUTES.get<Route>(routeKey(app), "json"))!;
    expect(route.state.kind).toBe("serving");
    return route;
  });
}

describe("a platform that was lost", () => {
  it("comes back from its objects' copies: same instances, higher numbers, and nothing is stopped", async () => {
    const node = await readyNode(1, "lost.0");
    const before = await serving(node);
    const revision = node.desired!.revision;
    const objects = {
      region: env.REGION.getByName("lost"),
      host: env.HOST.getByName(identityOf(app, node.cell).hostnames[0]!),
      app: env.APP.getByName(app),
      cell: env.CELL.getByName("lost.0"),
    };
    const copies: Record<string, Copied> = {};
    for (const [kind, object] of Object.entries(objects)) copies[kind] = await dumped(object);
    for (const object of Object.values(objects)) await wiped(object);
    expect(await node.heartbeat()).toMatchObject({ ok: false, failure: { code: "credential_invalid" } });
    for (const [kind, object] of Object.entries(objects)) {
      expect(await loaded(object, copies[kind]!, { apps: [app] }), kind).toEqual({ ok: true });
      // Whoever was stopped in between begins anew.
      expect(await loaded(object, copies[kind]!, { apps: [app] }), kind).toEqual({ ok: true });
    }
    expect(await node.heartbeat()).toMatchObject({ ok: true });
    const after = await eventually(async () => {
      const route = (await env.ROUTES.get<Route>(routeKey(app), "json"))!;
      expect(route.version).toBeGreaterThan(before.version + RESTORE_SKIP - 1);
      return route;
    });
    expect(after.state).toEqual(before.state);
    const document = await node.receive();
    expect(document.revision).toBeGreaterThan(revision + RESTORE_SKIP - 1);
    expect(document.instances).toHaveLength(1);
    expect(await objects.host.resolve({ hostname: "" })).toMatchObject({ ok: true, value: { app } });
    expect(await objects.app.scale({ ...asked, replicas: 2 })).toMatchObject({ ok: true });
  });

  it("is refused where something is stored already, and where a page is missing or of a newer layout", async () => {
    const node = await readyNode(2, "busy.0");
    await place(node, 1);
    const copy = await dumped(node.stub);
    expect(await loaded(node.stub, copy)).toMatchObject({ ok: false, failure: { code: "conflict" } });
    await wiped(node.stub);
    const pages = [...copy, ...copy];
    const second = { backup: "one", page: 1, pages: 2, layout: 1, text: pages[1]!.text, eventSeq: 1 };
    expect(await node.stub.load(second)).toMatchObject({ ok: false, failure: { code: "conflict" } });
    const newer = [{ ...copy[0]!, layout: 99 }];
    expect(await loaded(node.stub, newer)).toMatchObject({ ok: false, failure: { code: "conflict" } });
    expect(await loaded(node.stub, copy, { backup: "two" })).toEqual({ ok: true });
    expect(await loaded(node.stub, copy, { backup: "three" })).toMatchObject({ ok: false });
  });

  it("gives all pages of one copy as of one moment, and says when that copy is no longer held", async () => {
    const node = await readyNode(3, "moment.0");
    const first = await node.stub.dump({ copy: null, page: 0 });
    expect(first).toMatchObject({ ok: true, value: { pages: 1 } });
    expect(await node.stub.dump({ copy: "another", page: 0 })).toMatchObject({
      ok: false,
      failure: { code: "conflict" },
    });
  });
});
