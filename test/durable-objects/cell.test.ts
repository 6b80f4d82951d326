// The Cell object around its step: polls are never missed, the newest socket wins, replays are refused, silence is noticed.
import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import type { PollResponse } from "../../contracts/agent-protocol.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import { Resources } from "../../contracts/release.ts";
import { cellsIn, eventually, FleetNode, readyNode, upgrade } from "./fleet.ts";
import { APP_A, nodeId } from "./ids.ts";
import { desiredOf } from "./placed.ts";
import { recorded, resetRecorded } from "./recorded.ts";

beforeEach(resetRecorded);

const instanceId = (n: number) => `ins_01jzzzzzzze0a0000000000${String(n).padStart(3, "0")}` as InstanceId;

/** Holds room for the n-th instance in the cell, as an App would. */
async function reserve(cell: string, n: number): Promise<void> {
  const resources = Resources.parse({});
  const slot = { instance: instanceId(n), generation: 1, ordinal: n, resources, runtimes: ["docker" as const] };
  const request = { key: `reserve-${n}`, app: APP_A, leaseMs: 30_000, occupied: [], slots: [slot] };
  expect(await env.CELL.getByName(cell).reserve(request)).toMatchObject({
    ok: true,
    value: { placements: [{ instance: instanceId(n) }], refused: [] },
  });
}

/** Puts it into its node's document, which wakes the node. */
const commit = (cell: string, n: number) =>
  env.CELL.getByName(cell).commit({
    key: `commit-${n}`,
    app: APP_A,
    seq: n,
    instances: [desiredOf(n, { instance: instanceId(n), app: APP_A })],
    routeVersion: 0,
  });

async function place(cell: string, n: number) {
  await reserve(cell, n);
  return commit(cell, n);
}

describe("a poll", () => {
  it("waits while there is nothing new, and is woken by a commit with the whole document", async () => {
    const node = await readyNode(1, "wake.0");
    const held = await node.poll(99);
    const current = await node.stub.readNode({ node: node.id });
    const waiting = await node.poll(current.ok ? current.value.revision : 0);
    await held.until(({ closed }) => closed !== null);
    expect(held.messages).toEqual([]);
    expect(await place("wake.0", 1)).toEqual({ ok: true, value: null });
    await waiting.until(({ messages }) => messages.length > 0);
    const message = JSON.parse(waiting.messages[0] ?? "");
    expect(message).toMatchObject({ desired: { node: node.id, instances: [{ instance: instanceId(1) }] } });
    expect(message.revision).toBe(message.desired.revision);
    await waiting.until(({ closed }) => closed !== null);
    expect(waiting.closed?.code).toBe(1000);
  });

  it("is answered at once when the node has not got the newest revision", async () => {
    const node = await readyNode(2, "late.0");
    await place("late.0", 1);
    expect((await node.receive()).instances).toHaveLength(1);
  });

  it("is never missed, whatever way a commit and a connecting poll race", async () => {
    const node = await readyNode(3, "race.0");
    const before = await node.stub.readNode({ node: node.id });
    let revision = before.ok ? before.value.revision : 0;
    for (let n = 1; n <= 15; n += 1) {
      await reserve("race.0", n);
      // Both are on their way at the same time; the poll sets out up to 4 ms later, so that either may arrive first.
      const committed = commit("race.0", n);
      if (n % 5 > 0) await new Promise((resolve) => setTimeout(resolve, n % 5));
      const polled = node.poll(revision);
      const held = await polled;
      await committed;
      await held.until(({ messages }) => messages.length > 0);
      const { desired } = JSON.parse(held.messages[0] ?? "") as PollResponse;
      revision = desired.revision;
      expect(desired.instances.map(({ instance }) => instance)).toContain(instanceId(n));
    }
  });

  it("survives the Cell's hibernation: an evicted Cell wakes the socket it accepted before", async () => {
    const node = await readyNode(4, "sleep.0");
    const current = await node.stub.readNode({ node: node.id });
    const held = await node.poll(current.ok ? current.value.revision : 0);
    await evictDurableObject(node.stub as never);
    await node.heartbeat();
    await place("sleep.0", 1);
    await held.until(({ messages }) => messages.length > 0);
    expect(JSON.parse(held.messages[0] ?? "").desired.instances).toHaveLength(1);
  });

  it("is closed when the node opens a newer one, and only the newest is woken", async () => {
    const node = await readyNode(5, "newest.0");
    const current = await node.stub.readNode({ node: node.id });
    const revision = current.ok ? current.value.revision : 0;
    const older = await node.poll(revision);
    const newer = await node.poll(revision);
    await older.until(({ closed }) => closed !== null);
    expect(older.closed).toEqual({ code: 4001, reason: "replaced by a newer poll" });
    await place("newest.0", 1);
    await newer.until(({ messages }) => messages.length > 0);
    expect(older.messages).toEqual([]);
  });

  it("is not ended by a replayed proof", async () => {
    const node = await readyNode(8, "replay.0");
    const held = await node.poll(99);
    const replayed = await node.askToPoll(99, 1);
    expect([replayed.status, await replayed.json()]).toMatchObject([403, { code: "proof_replayed" }]);
    held.send("ping");
    await held.until(({ messages }) => messages.includes("pong"));
    expect(held.closed).toBeNull();
  });

  it("answers pings without waking the Cell", async () => {
    const node = await readyNode(6, "ping.0");
    const held = await node.poll(99);
    held.send("ping");
    await held.until(({ messages }) => messages.includes("pong"));
  });

  it("refuses nodes it does not know, numbers that are none, other paths, and requests for no socket", async () => {
    const stub = env.CELL.getByName("refuse.0");
    const status = async (path: string, init?: RequestInit) => (await stub.fetch(`https://cell${path}`, init)).status;
    const proof = "jkt=thumb&boot=boot-1&seq=1";
    const unknown = await stub.fetch(`https://cell/poll?node=${nodeId(9)}&${proof}&ack=0`, upgrade);
    expect([unknown.status, await unknown.json()]).toMatchObject([403, { code: "credential_invalid" }]);
    expect(await status(`/poll?node=nonsense&${proof}&ack=0`, upgrade)).toBe(400);
    expect(await status(`/poll?node=${nodeId(9)}&${proof}&ack=-1`, upgrade)).toBe(400);
    expect(await status(`/poll?node=${nodeId(9)}&${proof}`, upgrade)).toBe(400);
    expect(await status(`/poll?node=${nodeId(9)}&ack=0`, upgrade)).toBe(400);
    expect(await status(`/other`, upgrade)).toBe(404);
    expect(await status(`/poll?node=${nodeId(9)}&${proof}&ack=0`)).toBe(426);
  });

  it("ends when its node is revoked, and cannot be opened again", async () => {
    const node = await readyNode(7, "revoke.0");
    const held = await node.poll(99);
    expect(await node.stub.revoke({ node: node.id, actor: "user:operator" })).toMatchObject({ ok: true });
    await held.until(({ closed }) => closed !== null);
    const again = await node.askToPoll();
    expect([again.status, await again.json()]).toMatchObject([403, { code: "node_revoked" }]);
    expect(await node.heartbeat()).toMatchObject({ ok: false, failure: { code: "node_revoked" } });
    await evictDurableObject(node.stub as never);
    expect(await node.heartbeat()).toMatchObject({ ok: false, failure: { code: "node_revoked" } });
  });
});

describe("a proof", () => {
  it("is refused when it is repeated, and when it is of a boot that is over, also after an eviction", async () => {
    const node = await readyNode(1, "replay.0");
    const first = node.proof("ask");
    expect(await node.stub.admit(first)).toMatchObject({ ok: true });
    expect(await node.stub.admit(first)).toMatchObject({ ok: false, failure: { code: "proof_replayed" } });
    node.restart("boot-0002");
    expect(await node.stub.admit(node.proof("ask"))).toMatchObject({ ok: true });
    await evictDurableObject(node.stub as never);
    expect(await node.stub.admit({ ...first, seq: 7 })).toMatchObject({
      ok: false,
      failure: { code: "proof_replayed" },
    });
  });

  it("is refused for another key", async () => {
    const node = await readyNode(2, "key.0");
    const forged = { ...node.proof("ask"), jkt: "thumbprint-of-another" };
    expect(await node.stub.admit(forged)).toMatchObject({ ok: false, failure: { code: "credential_invalid" } });
  });
});

describe("a Cell that was evicted", () => {
  it("still knows its nodes, their documents and its reservations", async () => {
    const node = await readyNode(1, "evict.0");
    await place("evict.0", 1);
    const before = await node.receive();
    await evictDurableObject(node.stub as never);
    const node2 = new FleetNode(1, "evict.0");
    expect(await node2.receive()).toEqual(before);
    // Room that is taken stays taken: 4,000 mCPU hold sixteen of 250, and one is placed already.
    const slots = Array.from({ length: 16 }, (_, n) => ({
      instance: instanceId(100 + n),
      generation: 1,
      ordinal: n,
      resources: Resources.parse({}),
      runtimes: ["docker" as const],
    }));
    node2.restart("boot-0002");
    node2.desired = before;
    await node2.heartbeat();
    const answer = await node.stub.reserve({ key: "many", app: APP_A, leaseMs: 30_000, occupied: [], slots });
    expect(answer.ok && [answer.value.placements.length, answer.value.refused.length]).toEqual([15, 1]);
  });

  it("has its alarm set for what is due, and the alarm works on a Cell that nothing else woke", async () => {
    const node = await readyNode(2, "alarm.0");
    await evictDurableObject(node.stub as never);
    await eventually(async () => expect(await armedAtMsOf(node)).not.toBeNull());
    await evictDurableObject(node.stub as never);
    // Looked at again while the platform rings it by itself: for that moment none is set.
    await eventually(async () => expect(await runDurableObjectAlarm(node.stub as never)).toBe(true));
    await eventually(async () => expect(await armedAtMsOf(node)).not.toBeNull());
  });

  it("sets an alarm anew that went missing, at the next request", async () => {
    const node = await readyNode(3, "rearm.0");
    await runInDurableObject(node.stub as never, (_cell: never, state) => state.storage.deleteAlarm());
    await evictDurableObject(node.stub as never);
    await node.stub.listNodes();
    await eventually(async () => expect(await armedAtMsOf(node)).not.toBeNull());
  });
});

const armedAtMsOf = (node: FleetNode): Promise<number | null> =>
  runInDurableObject(node.stub as never, (_cell: never, state) => state.storage.getAlarm());

describe("a Cell's effects", () => {
  it("tell the Region how full it is", async () => {
    await readyNode(1, "local.7");
    await eventually(async () => {
      const cells = await cellsIn("local");
      expect(cells.find(({ cell }) => cell === "local.7")).toMatchObject({ readyNodes: 1 });
    });
  });

  it("hand every event to the sink once and in order, over a sink that is away, falls over or loses its answer", async () => {
    const source = "cell:outbox.0";
    recorded.sink = "away";
    const node = await readyNode(1, "outbox.0");
    await eventually(() => expect(recorded.batches.filter((batch) => batch.source === source)).not.toEqual([]));
    expect(recorded.events.get(source) ?? []).toEqual([]);
    for (const sink of ["throws", "answer_lost", "works"] as const) {
      recorded.sink = sink;
      // A restart forgets the waiting time: what rows ask for is due again.
      await evictDurableObject(node.stub as never);
      await node.stub.poke();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await eventually(async () => {
      const stored = recorded.events.get(source) ?? [];
      expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, index) => index + 1));
      expect(stored.map(({ type }) => type)).toContain("node.enrolled");
      const counters = await countersOf(node);
      expect(counters.deliveredSeq).toBe(counters.eventSeq);
    });
  });

  it("ask for a second opinion about a silent node, and believe it", async () => {
    recorded.prober = "silent";
    const node = await readyNode(1, "silent.0");
    await eventually(() => expect(recorded.probes.some(({ node: asked }) => asked === node.id)).toBe(true));
    await eventually(async () => {
      expect(await node.stub.readNode({ node: node.id })).toMatchObject({ ok: true, value: { phase: "lost" } });
    });
    expect(await node.heartbeat()).toMatchObject({ ok: true });
    expect(await node.stub.readNode({ node: node.id })).toMatchObject({ ok: true, value: { phase: "ready" } });
  });
});

function countersOf(node: FleetNode): Promise<{ eventSeq: number; deliveredSeq: number }> {
  return runInDurableObject(node.stub as never, (_cell: never, state) => {
    const [row] = state.storage.sql.exec("SELECT value FROM object_row WHERE table_name = 'counters'").toArray();
    return JSON.parse(String(row?.["value"]));
  });
}
