// A node that nobody can reach, served through another one's gateway: requests, uploads, streams, WebSockets, and its own judgement.
import { createHash, randomBytes } from "node:crypto";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { instanceId, nodeId } from "../../../bench/shared/gateway-world.ts";
import { eventually, httpApp, send, sleep, ticket, type App } from "../gateway/upstreams.ts";
import { HIDDEN, Relayed } from "./relayed.ts";

let relayed: Relayed;
let app: App;
let sockets: WebSocketServer;
const left: string[] = [];

beforeAll(async () => {
  relayed = await Relayed.start({ sweepMs: 50, relayPingMs: 100, relaySilentMs: 6_000, relayDialTimeoutMs: 500 });
  app = await httpApp((asked, answer) => {
    const { pathname } = new URL(asked.url ?? "/", "http://app");
    if (pathname === "/events") {
      answer.writeHead(200, { "content-type": "text/event-stream" });
      const beat = setInterval(() => answer.write(`data: ${Date.now()}\n\n`), 20);
      asked.once("close", () => {
        clearInterval(beat);
        left.push("events");
      });
      return;
    }
    if (pathname === "/large") return void answer.end(Buffer.alloc(8 * 1024 * 1024, "berth"));
    if (pathname === "/cut") return void answer.write("half", () => setTimeout(() => asked.socket.destroy(), 20));
    const hash = createHash("sha256");
    asked.on("data", (chunk: Buffer) => hash.update(chunk));
    asked.on("end", () => {
      const { host, "x-forwarded-for": address, "x-request-id": id, "x-forwarded-proto": proto } = asked.headers;
      const internal = Object.keys(asked.headers).filter((name) => name.startsWith("berth-"));
      answer.end(JSON.stringify({ sha256: hash.digest("hex"), host, address, id, proto, internal }));
    });
  });
  sockets = new WebSocketServer({ server: app.server as never });
  sockets.on("connection", (socket) =>
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })),
  );
  await relayed.serve(app);
  await relayed.dial();
  await relayed.reached();
});
afterAll(async () => {
  sockets?.close();
  await relayed?.stop();
  await app?.close();
});

describe("a request through the relay", () => {
  test("reaches the app with the visitor's own words, and the answer names what the app's gateway named", async () => {
    const answer = await relayed.ask();
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ "berth-route-version": "0", "berth-instance": instanceId(1) });
    expect(answer.headers["server-timing"]).toMatch(/^berth-app;dur=[\d.]+$/);
    const visitor = { host: "shop.test", address: "203.0.113.9", id: "req-1", proto: "https", internal: [] };
    expect(JSON.parse(answer.body)).toMatchObject(visitor);
  });

  test("is counted by the app's gateway alone", async () => {
    const requests = async (of: "relay" | "hidden") => (await relayed[of].counters()).instances[0]?.requests ?? 0;
    const before = await requests("hidden");
    await Promise.all(Array.from({ length: 50 }, () => relayed.ask()));
    expect(await requests("hidden")).toBe(before + 50);
    expect((await relayed.relay.counters()).instances).toEqual([]);
  });

  test.each([
    ["with its length", {}],
    ["in chunks", { "transfer-encoding": "chunked" }],
  ])("carries a body of 5 MB %s, every byte", async (_, headers) => {
    const body = randomBytes(5 * 1024 * 1024);
    const answer = await relayed.ask({ method: "POST", body, headers: headers as Record<string, string> });
    expect(JSON.parse(answer.body).sha256).toBe(createHash("sha256").update(body).digest("hex"));
  });

  test("brings answers of 8 MB, many at a time, and many requests on one connection", async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => relayed.ask({ path: "/large" })));
    expect(all.map(({ status, body }) => [status, body.length])).toEqual(Array(6).fill([200, 8 * 1024 * 1024]));
  });

  test("streams as it is written, and the app hears when the visitor leaves", async () => {
    const headers = await relayed.headers();
    const heard = await new Promise<number>((resolve, reject) => {
      let events = 0;
      const asked = request({ host: "127.0.0.1", port: relayed.relay.port, path: "/events", headers, agent: false });
      asked.on("response", (answer) => {
        answer.on("error", () => undefined);
        answer.on("data", () => {
          events += 1;
          if (events < 5) return;
          asked.destroy();
          resolve(events);
        });
      });
      asked.on("error", (error) => events < 5 && reject(error));
      asked.end();
    });
    expect(heard).toBe(5);
    expect(
      await eventually(
        () => left.length,
        (count) => count === 1,
      ),
    ).toBe(1);
  });

  test("whose answer breaks off is broken for the visitor too, never short", async () => {
    await expect(relayed.ask({ path: "/cut" })).rejects.toThrow(/aborted|ECONNRESET|socket hang up/);
  });

  test("may open a WebSocket: frames pass both ways, and closing arrives with its code", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${relayed.relay.port}/`, { headers: await relayed.headers() });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const large = randomBytes(300_000);
    for (const message of [Buffer.from("one"), large]) {
      const back = new Promise<Buffer>((resolve) => socket.once("message", (data) => resolve(data as Buffer)));
      socket.send(message);
      expect((await back).equals(message)).toBe(true);
    }
    const closed = new Promise<number>((resolve) => socket.once("close", resolve));
    for (const client of sockets.clients) client.close(4_001);
    expect(await closed).toBe(4_001);
  });
});

describe("the ticket", () => {
  test("is judged by the app's gateway as if the edge had come to it", async () => {
    const other = await send(relayed.relay.port, { headers: await relayed.headers({ instance: instanceId(9) }) });
    expect(other).toMatchObject({ status: 421, headers: { "berth-gateway-error": "instance_gone" } });
    const team = await send(relayed.relay.port, {
      headers: await relayed.headers({ app: "app_01h00000000000000000000007" as never }),
    });
    expect(team).toMatchObject({ status: 401, headers: { "berth-gateway-error": "ticket_invalid" } });
  });

  test("is asked for by the relay already: none, a false one and an old one go no further", async () => {
    const before = (await relayed.hidden.counters()).instances[0]?.requests;
    const good = await ticket(relayed.key, { node: HIDDEN });
    const old = await ticket(relayed.key, { node: HIDDEN, instance: instanceId(8) }, Date.now() - 3_600_000);
    const refused = await Promise.all(
      ["", `${good.slice(0, -8)}AAAAAAAA`, old].map((value) =>
        send(relayed.relay.port, { headers: value === "" ? {} : { "berth-ticket": value } }),
      ),
    );
    const codes = refused.map(({ headers }) => headers["berth-gateway-error"]);
    expect(codes).toEqual(["ticket_missing", "ticket_invalid", "ticket_expired"]);
    expect((await relayed.hidden.counters()).instances[0]?.requests).toBe(before);
  });

  test("for a node that has no connection here opens nothing", async () => {
    const headers = { "berth-ticket": await ticket(relayed.key, { node: nodeId(3) }) };
    expect(await send(relayed.relay.port, { headers })).toMatchObject({ status: 401 });
    expect(await send(relayed.relay.port, { path: `/.berth/health?node=${nodeId(3)}` })).toMatchObject({ status: 502 });
  });
});

test("the connection lives on past every time-out of its making", async () => {
  await sleep(7_000);
  expect((await relayed.hidden.counters()).relays).toEqual([nodeId(1)]);
  expect((await relayed.ask()).status).toBe(200);
});
