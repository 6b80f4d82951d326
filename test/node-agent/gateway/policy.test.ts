// What a release says of its requests, seen to by the gateway: time-outs and body limits of its own, and what answers then say.
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { GatewayPolicy } from "../../../contracts/desired.ts";
import { Served } from "./served.ts";
import { eventually, httpApp, raw, tcpApp } from "./upstreams.ts";

let served: Served;
const policy = (wish: Partial<GatewayPolicy>): { http: GatewayPolicy } => ({
  http: { connectTimeoutMs: 30_000, firstByteTimeoutMs: 300_000, idleTimeoutMs: 3_600_000, ...wish },
});
beforeAll(async () => {
  served = await Served.start({ sweepMs: 50, dialTimeoutMs: 60_000 });
});
afterAll(() => served.stop());

const failure = (code: string, status: number) => ({ status, headers: { "berth-gateway-error": code } });
async function inTime<Value>(work: Promise<Value>): Promise<[Value, number]> {
  const startedAtMs = performance.now();
  return [await work, performance.now() - startedAtMs];
}
const request = async (lines: string, body = "") =>
  `POST / HTTP/1.1\r\nHost: a\r\nberth-ticket: ${await served.pass()}\r\n${lines}\r\n${body}`;

test("an app that does not accept a connection within its time: connect_failed", async () => {
  const app = await httpApp((_asked, response) => void response.end());
  // TEST-NET-1 (RFC 5737): packets to it go nowhere, or are refused at once.
  await served.serve(app, { host: "192.0.2.1", ...policy({ connectTimeoutMs: 200 }) });
  const [answer, tookMs] = await inTime(served.ask());
  expect(answer).toMatchObject(failure("connect_failed", 502));
  expect(tookMs).toBeLessThan(20_000);
});

test("an app that is silent for longer than its first byte may take: upstream_timeout; a patient one's is awaited", async () => {
  const slow = () => httpApp((_asked, response) => void setTimeout(() => response.end("late"), 6_000));
  await served.serve(await slow(), policy({ firstByteTimeoutMs: 200 }));
  const [answer, tookMs] = await inTime(served.ask());
  expect(answer).toMatchObject(failure("upstream_timeout", 504));
  expect(tookMs).toBeGreaterThanOrEqual(199);
  expect(tookMs).toBeLessThan(5_900);
  await served.serve(await slow(), policy({ firstByteTimeoutMs: 60_000 }));
  expect(await served.ask()).toMatchObject({ status: 200, body: "late" });
});

test("a body on which nothing moves for longer than it may is cut; one that goes on is not", async () => {
  const app = await tcpApp((socket) => {
    socket.on("data", (bytes) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nfour");
      if (bytes.includes("/goes-on")) setTimeout(() => socket.write("more"), 1_000);
    });
  });
  await served.serve(app, policy({ idleTimeoutMs: 5_000 }));
  expect(await served.ask({ path: "/goes-on" })).toMatchObject({ status: 200, body: "fourmore" });
  const [, tookMs] = await inTime(expect(served.ask({ path: "/stuck" })).rejects.toThrow());
  expect(tookMs).toBeGreaterThan(4_990);
  expect(tookMs).toBeLessThan(60_000);
});

test("a declared body that is too large is refused before the app hears of it, and the connection goes on", async () => {
  let heard = 0;
  await served.serve(
    await httpApp((_asked, response) => (heard++, void response.end("ok"))),
    policy({ bodyBytesMax: 4 }),
  );
  const two = `${await request("Content-Length: 5\r\nExpect: 100-continue\r\n", "12345")}${await request("Content-Length: 4\r\n", "1234")}`;
  const answers = await raw(served.gateway.port, two, "ok");
  expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 200"]);
  expect(answers).toContain("berth-gateway-error: body_too_large");
  expect(heard).toBe(1);
});

test("a body in chunks that grows too large ends with 413, and the app sees it broken off", async () => {
  const seen: string[] = [];
  const app = await httpApp((asked, response) => {
    asked.on("data", (part: Buffer) => seen.push(part.toString()));
    asked.on("error", () => seen.push("broken off"));
    asked.on("end", () => response.end("ok"));
  });
  await served.serve(app, policy({ bodyBytesMax: 10 }));
  const chunked = "Transfer-Encoding: chunked\r\n";
  const small = await raw(served.gateway.port, await request(chunked, "5\r\n12345\r\n5\r\n67890\r\n0\r\n\r\n"), "ok");
  expect(small).toMatch(/^HTTP\/1\.1 200/);
  seen.length = 0;
  let heard = "";
  const socket = connect(served.gateway.port, "127.0.0.1");
  socket.on("data", (bytes) => (heard += bytes.toString())).on("error", () => undefined);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write(await request(chunked, "5\r\n12345\r\n"));
  const heardOf = (words: string[]) =>
    eventually(
      () => seen,
      (all) => all.length >= words.length,
    );
  expect(await heardOf(["12345"])).toEqual(["12345"]);
  socket.write("6\r\n678901\r\n");
  await closed;
  expect(heard).toMatch(/^HTTP\/1\.1 413/);
  expect(heard).toContain("connection: close");
  expect(await heardOf(["12345", "broken off"])).toEqual(["12345", "broken off"]);
});

test("an answer says how long the app took, beside what the app says, and which request it was", async () => {
  const app = await httpApp((asked, response) => {
    const own = { "server-timing": "db;dur=3", "x-request-id": "own" };
    setTimeout(() => response.writeHead(200, asked.url === "/own" ? own : {}).end(), 60);
  });
  await served.serve(app);
  const plain = await served.ask();
  const dur = Number(/^berth-app;dur=([\d.]+)$/.exec(String(plain.headers["server-timing"]))?.[1]);
  expect(dur).toBeGreaterThan(55);
  expect(dur).toBeLessThan(60_000);
  expect(plain.headers["x-request-id"]).toBe("req-12345");
  const own = await served.ask({ path: "/own" });
  expect(own.headers["server-timing"]).toMatch(/^db;dur=3, berth-app;dur=\d/);
  expect(own.headers["x-request-id"]).toBe("own");
});
