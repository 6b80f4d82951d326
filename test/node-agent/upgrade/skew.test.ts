// Versions side by side: agent N with control N−1, agent N−1 with control N, and gateways, files and agents of two versions.
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";
import { AGENT_PROTOCOL, HeartbeatRequest } from "../../../contracts/agent-protocol.ts";
import { NODE_NOTICE_KINDS, NodeNotice, NOTICE_KINDS_SINCE_3 } from "../../../contracts/node-notices.ts";
import { DesiredDocument } from "../../../contracts/desired.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import { GatewayChild } from "../../../node-agent/agent/gateway-child/gateway-child.ts";
import { GatewaySocket } from "../../../node-agent/agent/gateway-child/gateway-socket.ts";
import { inOlderWords } from "../../../node-agent/agent/link/older-words.ts";
import { Notices } from "../../../node-agent/agent/report/notices.ts";
import { takePidFile } from "../../../node-agent/agent/state/process-id.ts";
import { GATEWAY_PID_FILE, GATEWAY_SOCKET, GatewayCounters } from "../../../node-agent/endpoint-file.ts";
import { until } from "../agent/world.ts";

const notice = (seq: number, kind: string) => ({ seq, kind, instance: null, message: "m", atMs: 1 });
const beat = (more: Record<string, unknown> = {}) => ({
  ...{ protocol: AGENT_PROTOCOL, ackRevision: 1, agentVersion: "1.0.0", observed: [], gatewayReady: true },
  used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 },
  ...more,
});
/** As the control plane of the protocol before reads notices: a word that it does not know refuses the whole heartbeat. */
const kindsBefore = NODE_NOTICE_KINDS.filter((kind) => !NOTICE_KINDS_SINCE_3.includes(kind));
const NoticesBefore = z.object({ notices: z.array(NodeNotice.extend({ kind: z.enum(kindsBefore) })) });

test("agent N, control N−1: words that one does not know are held back, with all that come after them, and told later", () => {
  const notices = [notice(4, "agent_restarted"), notice(5, "agent_upgraded"), notice(6, "images_removed")];
  expect(NoticesBefore.safeParse({ notices }).success).toBe(false);
  const said = inOlderWords(beat({ notices }));
  expect(NoticesBefore.parse(said).notices.map(({ seq }) => seq)).toEqual([4]);
  const conditions = [{ kind: "clock_wrong" }, { kind: "engine_down" }];
  expect(inOlderWords(beat({ conditions }))).toMatchObject({ conditions: [{ kind: "engine_down" }] });
  expect(inOlderWords(beat())).toEqual(beat());
});

test("agent N, control N−1: a document that names no agent leaves the node as it is, and so does one of a later shape", () => {
  const node = "node_00000000000000000000000001";
  const document = { node, revision: 3, instances: [], routes: {} };
  expect(DesiredDocument.parse(document).agent).toBeUndefined();
  const later = DesiredDocument.parse({ ...document, agent: { attempt: "x", wave: 7 }, more: true });
  expect(later).toMatchObject({ revision: 3, agent: undefined });
});

test("agent N−1, control N: a heartbeat without a word on upgrades is a heartbeat; one of N+1 costs nothing either", () => {
  expect(HeartbeatRequest.parse(beat()).agent).toBeUndefined();
  const later = beat({ agent: { able: "maybe" }, notices: [notice(1, "agent_dreams")], somethingNew: 1 });
  expect(HeartbeatRequest.parse(later)).toMatchObject({ agent: undefined, notices: [{ kind: "agent_dreams" }] });
});

test("agent N−1 after N: what the newer one left in the folder does not keep it from telling", async () => {
  const dir = mkdtempSync(join(tmpdir(), "berth-skew-"));
  const rows = [notice(7, "agent_dreams")];
  writeFileSync(join(dir, "notices.json"), JSON.stringify({ nextSeq: 8, rows, keys: [], since: "later" }));
  const notices = await Notices.open(dir, { nowMs: () => 1, changed: () => undefined });
  await notices.add("agent_restarted", null, "again");
  expect(notices.pending().map(({ seq, kind }) => `${seq} ${kind}`)).toEqual(["7 agent_dreams", "8 agent_restarted"]);
});

test("gateway N with agent N−1: counters carry a word more, which an older agent passes over", () => {
  const Before = GatewayCounters.omit({ version: true });
  expect(Before.parse({ startId: "s", version: "1.0.0", instances: [] })).toEqual({ startId: "s", instances: [] });
});

let old: Server | null = null;
afterEach(() => void old?.close());

test("agent N with a gateway from before hand-overs: it is asked once in a while, told as kept, and goes on", async () => {
  const dir = mkdtempSync(join(tmpdir(), "berth-skew-"));
  let asked = 0;
  old = createServer((request, response) => {
    const known = request.url === "/counters";
    if (request.url === "/hand-over") asked += 1;
    request.resume();
    response
      .writeHead(known ? 200 : 404)
      .end(JSON.stringify(known ? { startId: "s", instances: [] } : { message: "POST /reload or GET /counters" }));
  });
  await new Promise<void>((resolve) => old?.listen(join(dir, GATEWAY_SOCKET), resolve));
  await takePidFile(dir, GATEWAY_PID_FILE);
  const socket = new GatewaySocket(dir);
  const limits = { ...AGENT_LIMITS, gatewayWatchMs: 10 } as unknown as typeof AGENT_LIMITS;
  const child = new GatewayChild({ dir, host: "127.0.0.1", port: 1 }, socket, limits, pino({ level: "silent" }));
  const kept: string[] = [];
  let may = false;
  const none = () => undefined;
  child.start({
    changed: none,
    restarted: none,
    replaced: none,
    kept: (told) => void kept.push(told),
    mayReplace: () => may,
  });
  await until("it is seen", () => child.ready);
  expect({ asked, version: child.version }).toEqual({ asked: 0, version: null });
  may = true;
  await until("it is told", () => kept.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(asked).toBe(1);
  expect(kept).toEqual([
    expect.stringMatching(/^gateway one from before hand-overs goes on, because .* could not take over/),
  ]);
  expect(child.ready).toBe(true);
  await child.leave();
  socket.close();
});
