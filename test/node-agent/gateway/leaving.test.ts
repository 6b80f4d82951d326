// WebSockets of an instance that is leaving: each is closed with 1012 at a moment of its own, between frames; requests are left alone.
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { Farewell } from "../../../node-agent/gateway/farewell.ts";
import { Served } from "./served.ts";
import { eventually, httpApp, sleep, type App } from "./upstreams.ts";

const FAREWELL_MS = 600;
let served: Served;
beforeAll(async () => {
  served = await Served.start({ sweepMs: 20, farewellMs: FAREWELL_MS });
});
afterAll(() => served.stop());

interface Room {
  readonly app: App;
  readonly server: WebSocketServer;
  /** Close codes that the app heard. */
  readonly codes: number[];
}
async function room(onSocket: (socket: WebSocket) => void = () => undefined): Promise<Room> {
  const app = await httpApp((_asked, response) => void setTimeout(() => response.end("slow"), 900));
  const server = new WebSocketServer({ server: app.server as never });
  const codes: number[] = [];
  server.on("connection", (socket) => {
    socket.on("close", (code) => codes.push(code)).on("error", () => undefined);
    onSocket(socket);
  });
  await served.serve(app);
  return { app, server, codes };
}
async function visitor(): Promise<WebSocket> {
  const headers = { "berth-ticket": await served.pass() };
  const socket = new WebSocket(`ws://127.0.0.1:${served.gateway.port}/`, { headers });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return socket;
}
const closed = (socket: WebSocket) =>
  new Promise<{ code: number; atMs: number }>((resolve, reject) =>
    socket.once("close", (code) => resolve({ code, atMs: Date.now() })).once("error", reject),
  );
const leave = (app: App, fromMs: number, untilMs: number) =>
  served.serve(app, { state: "draining", leave: { fromMs: Date.now() + fromMs, untilMs: Date.now() + untilMs } });
const open = async () => (await served.gateway.counters()).instances[0]?.open;

describe("a WebSocket of an instance that is leaving", () => {
  test("is closed with 1012 within the window, one after the other, and the app hears of it; a request ends in peace", async () => {
    const { app, codes } = await room();
    const sockets = await Promise.all(Array.from({ length: 60 }, visitor));
    const slow = served.ask();
    const startedAtMs = Date.now();
    const ends = sockets.map(closed);
    await leave(app, 300, 6_300);
    const all = await Promise.all(ends);
    expect(new Set(all.map(({ code }) => code))).toEqual(new Set([1012]));
    const times = all.map(({ atMs }) => atMs - startedAtMs).sort((a, b) => a - b);
    expect(times[0]).toBeGreaterThanOrEqual(290);
    expect(times.at(-1)).toBeLessThan(30_000);
    // 60 moments within six seconds: all of them in half a second is a chance of one in 10^60.
    expect(times.at(-1)! - times[0]!).toBeGreaterThan(500);
    expect(await slow).toMatchObject({ status: 200, body: "slow" });
    expect(
      await eventually(
        () => codes.length,
        (count) => count === 60,
      ),
    ).toBe(60);
    expect(new Set(codes)).toEqual(new Set([1012]));
    expect(await eventually(open, (count) => count === 0)).toBe(0);
  });

  test("has whole messages until then, however large, and none after", async () => {
    const message = "berth".repeat(60_000);
    const { app } = await room((socket) => {
      const send = (): void => {
        if (socket.readyState === socket.OPEN) socket.send(message, { fin: true }, () => setImmediate(send));
      };
      send();
    });
    const socket = await visitor();
    let messages = 0;
    socket.on("message", (data) => {
      expect(String(data) === message).toBe(true);
      messages += 1;
    });
    const end = closed(socket);
    await leave(app, 100, 200);
    expect((await end).code).toBe(1012);
    expect(messages).toBeGreaterThan(0);
  });

  test("is cut on both sides if its visitor does not answer", async () => {
    const { app, server } = await room();
    const socket = connect(served.gateway.port, "127.0.0.1");
    const heard: Buffer[] = [];
    socket.on("data", (bytes) => heard.push(bytes));
    const end = new Promise((resolve) => socket.once("close", resolve));
    const lines =
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
    socket.write(`GET / HTTP/1.1\r\nHost: a\r\nberth-ticket: ${await served.pass()}\r\n${lines}\r\n\r\n`);
    await eventually(
      () => server.clients.size,
      (size) => size === 1,
    );
    const startedAtMs = performance.now();
    await leave(app, 0, 50);
    await end;
    expect(performance.now() - startedAtMs).toBeGreaterThan(FAREWELL_MS - 100);
    expect(Buffer.concat(heard).subarray(-4)).toEqual(Buffer.from([0x88, 2, 0x03, 0xf4]));
    expect(
      await eventually(
        () => server.clients.size,
        (size) => size === 0,
      ),
    ).toBe(0);
  });

  test("stays if the drain was called off before", async () => {
    const { app } = await room((socket) => socket.on("message", (data) => socket.send(String(data))));
    const socket = await visitor();
    await leave(app, 4_000, 4_100);
    await served.serve(app, { state: "serving" });
    await sleep(4_500);
    socket.send("still here?");
    const answer = await new Promise((resolve) => socket.once("message", (data) => resolve(String(data))));
    expect(answer).toBe("still here?");
    socket.close();
  });
});

describe("the gateway's close frame", () => {
  const frame = (bytes: number, opcode = 2, masked = false): Buffer => {
    const mask = masked ? 128 : 0;
    const head =
      bytes < 126
        ? [bytes | mask]
        : bytes < 65_536
          ? [126 | mask, bytes >> 8, bytes & 255]
          : [127 | mask, 0, 0, 0, 0, 0, bytes >> 16, (bytes >> 8) & 255, bytes & 255];
    return Buffer.concat([Buffer.from([128 | opcode, ...head]), Buffer.alloc(masked ? 4 : 0), Buffer.alloc(bytes, 7)]);
  };
  const now = { fromMs: 0, untilMs: 0 };
  const CLOSE = Buffer.from([0x88, 2, 0x03, 0xf4]);

  test.each([0, 1, 125, 126, 300, 65_535, 65_536])(
    "comes between frames of %i bytes, wherever they are cut",
    (bytes) => {
      for (const masked of [false, true]) {
        const one = frame(bytes, 2, masked);
        const both = Buffer.concat([one, frame(3)]);
        const cuts = Array.from({ length: 16 }, (_, at) => at).concat([one.length - 1, one.length]);
        for (const cut of cuts.filter((at) => at <= one.length)) {
          const farewell = new Farewell();
          const first = farewell.pass(both.subarray(0, cut)) as Buffer;
          const said = farewell.look(now, 1, 1);
          const rest = said ?? farewell.pass(both.subarray(cut));
          const ended = cut === 0 || cut === one.length;
          expect(said === null).toBe(!ended);
          expect(
            Buffer.concat([first, rest as Buffer]).equals(
              Buffer.concat([both.subarray(0, ended ? cut : one.length), CLOSE]),
            ),
          ).toBe(true);
          expect(farewell.pass(frame(1))).toBeNull();
        }
      }
    },
  );

  test("is not sent where the app has said good-bye itself, nor before its time, nor twice", () => {
    const gone = new Farewell();
    gone.pass(frame(2, 8));
    expect(gone.look(now, 1, 1)).toBeNull();
    const farewell = new Farewell();
    expect(farewell.look(undefined, 1, 1)).toBeNull();
    expect(farewell.look({ fromMs: 10, untilMs: 20 }, 9, 1)).toBeNull();
    expect(farewell.look({ fromMs: 10, untilMs: 20 }, 20, 5)?.equals(CLOSE)).toBe(true);
    expect([farewell.look({ fromMs: 10, untilMs: 20 }, 21, 6), farewell.saidAtMs]).toEqual([null, 5]);
  });
});
