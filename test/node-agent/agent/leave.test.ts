// When WebSockets of an instance are told to leave, as its agent tells the gateway: late in a drain, or within the grace of a stop.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import { leaveOf, leaveWithin } from "../../../node-agent/agent/supervise/leave.ts";
import { ticketFor } from "./ticket-for.ts";
import { desired, makeBundle, makeWorld, until, untilStatus, type World } from "./world.ts";

let world: World | null = null;
afterEach(async () => {
  await world?.close();
  world = null;
});

test.each<[Partial<DesiredInstance>, [number, number] | undefined]>([
  [{ intent: "run" }, undefined],
  [{ intent: "drain" }, undefined],
  [{ intent: "drain", drainSpan: { sinceMs: 1_000_000, untilMs: 1_090_000 } }, [1_060_000, 1_090_000]],
  [{ intent: "drain", drainSpan: { sinceMs: 1_000_000, untilMs: 1_030_000 } }, [1_020_000, 1_030_000]],
  [{ intent: "drain", drainSpan: { sinceMs: 1_000_000, untilMs: 1_900_000 } }, [1_870_000, 1_900_000]],
  [{ intent: "run", drainSpan: { sinceMs: 1_000_000, untilMs: 1_090_000 } }, undefined],
])("of %j they leave within %j", (over, window) => {
  const expected = window && { fromMs: window[0], untilMs: window[1] };
  expect(leaveOf(desired(over))).toEqual(expected);
});

test("of what is being stopped they leave within the grace, with some of it left to say good-bye", () => {
  expect(leaveWithin(5_000, 10_000)).toEqual({ fromMs: 5_000, untilMs: 13_000 });
});

/** A bundle has no packages: it greets and says no more. */
const GREETER_JS = `
const { createServer } = require("node:http");
const { createHash } = require("node:crypto");
const server = createServer((request, response) => response.end("ok"));
server.on("upgrade", ({ headers }, socket) => {
  const accept = createHash("sha1").update(headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: " + accept + "\\r\\n\\r\\n");
  socket.on("data", () => socket.end()).on("error", () => {});
});
server.listen(Number(process.env.PORT));
`;
const CLOSE = Buffer.from([0x88, 2, 0x03, 0xf4]);

async function visitor(port: number, ticket: string): Promise<{ socket: Socket; heard: () => Buffer }> {
  const socket = connect(port, "127.0.0.1");
  const parts: Buffer[] = [];
  socket.on("data", (bytes) => parts.push(bytes)).on("error", () => undefined);
  const key = createHash("md5").update("any").digest("base64");
  const lines = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13`;
  socket.write(`GET / HTTP/1.1\r\nHost: a\r\nberth-ticket: ${ticket}\r\n${lines}\r\n\r\n`);
  await until("the upgrade", () => String(Buffer.concat(parts)).includes("101 Switching"));
  return { socket, heard: () => Buffer.concat(parts) };
}

test("an instance that drains, and one that is stopped at once, have their WebSockets closed with 1012 before they end", async () => {
  world = await makeWorld("process", { heartbeatMs: 200 });
  const { peer, dir, gatewayPort } = world;
  const { hash, bytes } = await makeBundle({ "index.js": GREETER_JS });
  peer.bundles.set(hash, bytes);
  const one = desired({ source: { kind: "bundle", hash }, stopGraceMs: 2_500 });
  const two = desired({ source: { kind: "bundle", hash }, stopGraceMs: 2_500 });
  peer.publish([one, two]);
  await Promise.all([one, two].map(({ instance }) => untilStatus(world!, instance, "ready")));
  await until("the gateway", () => peer.beats.at(-1)?.request.gatewayReady);
  const [drained, stopped] = await Promise.all(
    [one, two].map(async (at) => visitor(gatewayPort, await ticketFor(peer, at))),
  );
  const ended = new Promise((resolve) => stopped!.socket.once("close", resolve));
  const sinceMs = Math.round(peer.nowMs());
  const drainSpan = { sinceMs, untilMs: sinceMs + 3_000 };
  peer.publish([{ ...one, intent: "drain", drainSpan }]);
  await until("the good-bye of the stopped one", () => stopped!.heard().subarray(-4).equals(CLOSE));
  expect(peer.observed(two.instance)?.status.kind).not.toBe("stopped");
  await untilStatus(world, two.instance, "stopping");
  // As a browser answers.
  stopped!.socket.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf4]));
  await ended;
  await untilStatus(world, two.instance, "stopped");
  const { instances } = JSON.parse(readFileSync(join(dir, "endpoints.json"), "utf8"));
  expect(instances.find(({ instance }: DesiredInstance) => instance === one.instance)).toMatchObject({
    state: "draining",
    leave: { fromMs: sinceMs + 2_000, untilMs: sinceMs + 3_000 },
  });
  await until("the good-bye of the drained one", () => drained!.heard().subarray(-4).equals(CLOSE));
  expect(peer.nowMs()).toBeGreaterThanOrEqual(sinceMs + 1_980);
  expect(peer.observed(one.instance)?.status.kind).toBe("ready");
});
