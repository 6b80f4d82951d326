// An agent's WebSocket at its Cell: the guarantees of heartbeats and polls over HTTP, over messages, hibernation and renewal.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AGENT_PROTOCOL } from "../../contracts/agent-protocol.ts";
import { SOCKET_CLOSES, type ToAgent } from "../../contracts/agent-socket.ts";
import { eventually, type FleetNode, type HeldSocket, readyNode, upgrade } from "./fleet.ts";
import { APP_B, nodeId } from "./ids.ts";
import { instanceId, place } from "./placed.ts";
import { resetRecorded } from "./recorded.ts";

beforeEach(resetRecorded);
afterEach(() => void vi.useRealTimers());

const evict = (node: FleetNode) => evictDurableObject(node.stub as never);

/** Of a node on which nothing happens: nothing newer waits for it. */
async function settled(n: number, cell: string): Promise<{ node: FleetNode; held: HeldSocket; revision: number }> {
  const node = await readyNode(n, cell);
  const read = await node.stub.readNode({ node: node.id });
  const revision = read.ok ? read.value.revision : 0;
  return { node, held: await node.socket({ ack: revision }), revision };
}

const revisionOf = (message: ToAgent | undefined): number | null =>
  message?.kind === "poll" && message.body !== null ? message.body.revision : null;

describe("an agent's socket", () => {
  it("answers heartbeats as HTTP does, and commits leases for them", async () => {
    const node = await readyNode(1, "beats.0");
    await place(node, 1, "strict");
    const held = await node.socket();
    await held.until(({ messages }) => messages.length > 0);
    node.desired = (held.said("poll", 0)[0] as { body: { desired: FleetNode["desired"] } }).body.desired;
    const answer = await node.beatOn(held);
    expect(answer).toMatchObject({ kind: "heartbeat", body: { leaseTtlMs: 8_000, leaseCommitted: true } });
    const rows = await runInDurableObject(node.stub as never, (_cell: never, state) =>
      state.storage.sql.exec("SELECT value FROM object_row WHERE table_name = 'leases'").toArray(),
    );
    expect(rows).toHaveLength(1);
  });

  it("brings the document that is newer at once, and every one after it until it is closed", async () => {
    const { node, held, revision } = await settled(2, "wakes.0");
    expect(held.messages).toEqual([]);
    await place(node, 1);
    await held.until(({ messages }) => messages.length > 0);
    const first = revisionOf(held.said("poll", 0)[0]);
    expect(first).toBeGreaterThan(revision);
    await place(node, 2);
    await held.until((socket) => (revisionOf(socket.said("poll", 0).at(-1)) ?? 0) > (first ?? 0));
    const late = await node.socket({ ack: revision });
    await late.until(({ messages }) => messages.length > 0);
  });

  it("never misses a commit that races its opening", async () => {
    const { node, revision } = await settled(3, "race.0");
    for (let n = 1, ack = revision; n <= 8; n += 1) {
      const placed = place(node, n);
      if (n % 4 > 0) await new Promise((resolve) => setTimeout(resolve, n % 4));
      const held = await node.socket({ ack });
      await placed;
      const newest = await held.until((socket) => {
        const last = socket.said("poll", 0).at(-1);
        return (
          last?.kind === "poll" && last.body?.desired.instances.some((at) => at.instance === instanceId(n)) === true
        );
      });
      ack = revisionOf(newest.said("poll", 0).at(-1)) ?? ack;
    }
  });

  it("says on demand what a lost wake-up would have said, and null where there is nothing newer", async () => {
    const { node, held, revision } = await settled(4, "lost.0");
    await place(node, 1);
    await held.until(({ messages }) => messages.length > 0);
    const newest = revisionOf(held.said("poll", 0).at(-1)) ?? 0;
    expect(revisionOf(await node.pollOn(held, revision))).toBe(newest);
    expect(await node.pollOn(held, newest)).toMatchObject({ kind: "poll", body: null });
  });

  it("lives on over the Cell's hibernation, its credential's end included", async () => {
    const { node, held } = await settled(5, "sleep.0");
    await evict(node);
    expect(await node.beatOn(held)).toMatchObject({ kind: "heartbeat" });
    await evict(node);
    await place(node, 1);
    await held.until(({ messages }) => messages.some((text) => text.includes(instanceId(1))));
    const brief = await node.socket({ expires: Date.now() + 300 });
    await evict(node);
    await new Promise((resolve) => setTimeout(resolve, 320));
    brief.send(JSON.stringify({ kind: "heartbeat", id: 99, atMs: Date.now(), body: node.report() }));
    await brief.until(({ closed }) => closed !== null);
    expect(brief.closed?.code).toBe(SOCKET_CLOSES.expired);
    expect(brief.said("heartbeat", 99)).toEqual([]);
  });

  it("that is newer ends the older one, and only it is woken", async () => {
    const { node, held: older, revision } = await settled(6, "newest.0");
    const newer = await node.socket({ ack: revision });
    await older.until(({ closed }) => closed !== null);
    expect(older.closed).toMatchObject({ code: SOCKET_CLOSES.replaced });
    await place(node, 1);
    await newer.until(({ messages }) => messages.length > 0);
    expect(older.messages).toEqual([]);
  });

  it("is closed within moments of the node's revocation, and what it says then is refused", async () => {
    const { node, held } = await settled(7, "revoked.0");
    // The clock stands: it is closed by the revocation itself, and by nothing that is due later.
    vi.useFakeTimers({ toFake: ["Date"] });
    const startedAtMs = Date.now();
    await node.stub.revoke({ node: node.id, actor: "user:operator" });
    await held.until(({ closed }) => closed !== null);
    expect(held.closed).toMatchObject({ code: SOCKET_CLOSES.revoked });
    expect(Date.now() - startedAtMs).toBeLessThan(5_000);
    const again = await node.askForSocket();
    expect([again.status, await again.json()]).toMatchObject([403, { code: "node_revoked" }]);
  });

  it("is closed when its credential ends, and a document is not sent over it any more", async () => {
    const { node, revision } = await settled(8, "expired.0");
    const held = await node.socket({ ack: revision, expires: Date.now() - 1 });
    await place(node, 1);
    await held.until(({ closed }) => closed !== null);
    expect(held.closed).toMatchObject({ code: SOCKET_CLOSES.expired });
    expect(held.messages).toEqual([]);
  });

  it("lives on with a credential that was renewed by key proof while it was open", async () => {
    const { node, revision } = await settled(9, "renewed.0");
    const held = await node.socket({ ack: revision, expires: Date.now() + 400 });
    expect(await node.stub.admit({ ...node.proof("ask"), renewedUntilMs: Date.now() + 60_000 })).toMatchObject({
      ok: true,
    });
    await evict(node);
    await new Promise((resolve) => setTimeout(resolve, 420));
    expect(await node.beatOn(held)).toMatchObject({ kind: "heartbeat" });
  });
});

describe("on an agent's socket", () => {
  it("a heartbeat that was seen, here or over HTTP, counts no second time", async () => {
    const { node, held } = await settled(11, "replay.0");
    const { seq } = node.proof("heartbeat");
    expect(await node.beatOn(held, { id: seq + 5 })).toMatchObject({ kind: "heartbeat" });
    expect(await node.beatOn(held, { id: seq })).toMatchObject({ kind: "refused", body: { code: "proof_replayed" } });
    const overHttp = await node.stub.heartbeat({ ...node.proof("heartbeat", seq + 5), request: node.report() });
    expect(overHttp).toMatchObject({ ok: false, failure: { code: "proof_replayed" } });
  });

  it("the proof of an opening counts once, also after a restart of the Cell, and a replay ends nothing", async () => {
    const { node, held } = await settled(12, "opening.0");
    for (const restart of [false, true]) {
      if (restart) await evict(node);
      const replayed = await node.askForSocket({ seq: 1 });
      expect([replayed.status, await replayed.json()]).toMatchObject([403, { code: "proof_replayed" }]);
    }
    expect(await node.beatOn(held)).toMatchObject({ kind: "heartbeat" });
    node.restart("boot-0002");
    const anew = await node.askForSocket();
    expect(anew.status).toBe(101);
  });

  it("an agent's older start is refused once a newer one was heard", async () => {
    const { node, held } = await settled(13, "boots.0");
    node.restart("boot-0002");
    await node.heartbeat();
    expect(await node.beatOn(held, { id: 50 })).toMatchObject({ kind: "refused", body: { code: "proof_replayed" } });
  });

  it("a heartbeat that waited too long is refused as overloaded, with the time", async () => {
    const { node, held } = await settled(14, "late.0");
    const nowMs = Date.now();
    const late = await node.beatOn(held, { atMs: nowMs - 5_500 });
    expect(late).toMatchObject({ kind: "refused", body: { code: "overloaded" } });
    expect(late.kind === "refused" && late.body.nowMs).toBeGreaterThanOrEqual(nowMs);
    // The refused one counts as not sent.
    expect(await node.beatOn(held)).toMatchObject({ kind: "heartbeat" });
  });

  it.each([
    ["of a protocol that is not spoken", { protocol: AGENT_PROTOCOL + 1 }, "protocol_unsupported"],
    ["of the protocol before", { protocol: AGENT_PROTOCOL - 1 }, null],
    ["with more than is known", { observedMoons: 3 }, null],
    ["without its shape", { observed: "none" }, "invalid_request"],
  ])("a heartbeat %s is answered by name", async (_name, more, code) => {
    const { node, held } = await settled(15, `shape-${String(code).length}-${Object.keys(more)[0]?.toLowerCase()}.0`);
    const answer = await node.beatOn(held, { body: { ...node.report(), ...more } });
    if (code === null) expect(answer.kind).toBe("heartbeat");
    else expect(answer).toMatchObject({ kind: "refused", of: "heartbeat", body: { code } });
    expect(await node.beatOn(held)).toMatchObject({ kind: "heartbeat" });
  });

  it.each(["no JSON", "[]", '{"kind":"heartbeat"}', '{"kind":"heartbeat","id":-1,"body":{"protocol":3}}'])(
    "%s ends it",
    async (text) => {
      const { held } = await settled(16, `malformed-${text.length}.0`);
      held.send(text);
      await held.until(({ closed }) => closed !== null);
      expect(held.closed).toMatchObject({ code: SOCKET_CLOSES.malformed });
    },
  );

  it("an end that is dead goes once its node beats over HTTP instead", async () => {
    const { node, held } = await settled(17, "silent.0");
    for (let beats = 0; beats < 3; beats += 1) await node.heartbeat();
    // A replay is no word of the node's.
    const replayed = await node.stub.heartbeat({ ...node.proof("heartbeat", 1), request: node.report() });
    expect(replayed).toMatchObject({ ok: false, failure: { code: "proof_replayed" } });
    expect(await node.beatOn(held)).toMatchObject({ kind: "heartbeat" });
    for (let beats = 0; beats < 4; beats += 1) await node.heartbeat();
    await held.until(({ closed }) => closed !== null);
    expect(held.closed).toMatchObject({ code: SOCKET_CLOSES.silent });
  });

  it("nothing is lost beside a poll: both bring the document", async () => {
    const { node, held, revision } = await settled(18, "both.0");
    const poll = await node.poll(revision);
    await place(node, 1);
    await Promise.all([held, poll].map((each) => each.until(({ messages }) => messages.length > 0)));
    await eventually(() => expect(poll.closed?.code).toBe(1000));
    expect(held.closed).toBeNull();
    await node.stub.update({
      key: "u",
      app: APP_B,
      seq: 2,
      drain: [],
      remove: [instanceId(1)],
      routeVersion: 0,
      watch: false,
    });
    await held.until(({ messages }) => messages.length > 1);
  });
});

it("a Cell gives no socket to nodes it does not know, nor without all that it needs", async () => {
  const node = await readyNode(19, "refuse.0");
  const status = async (query: string, init?: RequestInit) =>
    (await node.stub.fetch(`https://cell/socket?${query}`, init)).status;
  const whole = `node=${nodeId(99)}&jkt=thumb&boot=boot-1&seq=1&ack=0`;
  expect(await status(`${whole}&expires=99999999999999`, upgrade)).toBe(403);
  expect(await status(whole, upgrade)).toBe(400);
  expect(await status(`${whole}&expires=soon`, upgrade)).toBe(400);
  expect(await status(`${whole}&expires=99999999999999`)).toBe(426);
});
