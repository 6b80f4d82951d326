// What passes through a gateway: heads, bodies, streams and WebSockets, both ways, unharmed and without piling up.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  endpointInstance,
  instanceId,
  nodeId,
  signingKey,
  startGateway,
  type GatewayProcess,
  type SigningKey,
} from "../../../bench/shared/gateway-world.ts";
import { eventually, httpApp, raw, send, tcpApp, ticket, type App } from "./upstreams.ts";

let key: SigningKey;
let gateway: GatewayProcess;
let pass: string;
const apps: App[] = [];

beforeAll(async () => {
  key = await signingKey();
  gateway = await startGateway({ node: nodeId(1), key });
});
beforeEach(async () => {
  pass = await ticket(key);
});
afterAll(async () => {
  await gateway.stop();
  for (const app of apps) await app.close();
});

/** Puts an app behind instance 1. */
async function serve(app: App): Promise<App> {
  apps.push(app);
  await gateway.write({ instances: [endpointInstance(app.port, { instance: instanceId(1) })] });
  return app;
}
const ask = (wish: Parameters<typeof send>[1] = {}) =>
  send(gateway.port, {
    ...wish,
    headers: { "berth-ticket": `${pass} - http req-12345 - shop.test:81`, ...wish.headers },
  });

describe("heads", () => {
  beforeAll(() => serveEcho());
  async function serveEcho(): Promise<void> {
    await serve(
      await httpApp((asked, response) => {
        response.writeHead(200, {
          "berth-gateway-error": "instance_gone",
          "x-own": "1",
          connection: "x-secret",
          "x-secret": "1",
        });
        response.end(JSON.stringify({ method: asked.method, url: asked.url, headers: asked.headers }));
      }),
    );
  }

  test("the app sees the visitor's host, address and request id, and nothing internal", async () => {
    const { status, headers, body } = await ask({
      path: "/a?b=%20c",
      headers: { "x-forwarded-host": "evil", "berth-team": "x", te: "trailers" },
    });
    expect(status).toBe(200);
    const seen = JSON.parse(body) as { url: string; headers: Record<string, string> };
    expect(seen.url).toBe("/a?b=%20c");
    expect(seen.headers).toMatchObject({
      host: "shop.test:81",
      "x-request-id": "req-12345",
      "x-forwarded-host": "shop.test:81",
    });
    expect(Object.keys(seen.headers).filter((name) => name.startsWith("berth-") || name === "te")).toEqual([]);
    expect(headers).toMatchObject({ "x-own": "1", "x-request-id": "req-12345" });
    expect(headers).not.toHaveProperty("berth-gateway-error");
    expect(headers).not.toHaveProperty("x-secret");
  });

  test.each(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "QUERY"])(
    "%s arrives as %s",
    async (method) => {
      expect(JSON.parse((await ask({ method })).body)).toMatchObject({ method });
    },
  );

  test("HEAD has the head and no body, and the connection goes on", async () => {
    const head = `HEAD / HTTP/1.1\r\nhost: x\r\nberth-ticket: ${pass}\r\n\r\n`;
    const get = `GET /second HTTP/1.1\r\nhost: x\r\nberth-ticket: ${pass}\r\n\r\n`;
    const heard = await raw(gateway.port, head + get, "/second");
    expect(heard.match(/HTTP\/1.1 200 OK/g)).toHaveLength(2);
    expect(heard.indexOf("{")).toBeGreaterThan(heard.lastIndexOf("HTTP/1.1 200 OK"));
  });

  test("a head of 100 KB passes, one beyond the limit gets 431", async () => {
    const big = await ask({ headers: { "x-big": "b".repeat(100_000) } });
    expect(big).toMatchObject({ status: 200, body: expect.stringContaining("b".repeat(100_000)) as string });
    const tooBig = `GET / HTTP/1.1\r\nhost: x\r\n${`a: ${"b".repeat(1_000)}\r\n`.repeat(140)}\r\n`;
    expect(await raw(gateway.port, tooBig)).toMatch(/^HTTP\/1.1 431 /);
  });

  test.each([
    ["GET / HTTP/1.0\r\n\r\n", 505],
    ["GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400],
    ["\x16\x03\x01\x02\r\n\r\n", 400],
  ])("%j is refused and the connection closed", async (bytes, status) => {
    expect(await raw(gateway.port, bytes)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  test("requests sent one after the other without waiting are answered in order", async () => {
    const one = (path: string) =>
      `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nberth-ticket: ${pass}\r\n\r\nabc`;
    const heard = await raw(gateway.port, one("/1") + one("/2") + one("/3"), '"/3"');
    expect(heard.match(/"url":"\/\d"/g)).toEqual(['"url":"/1"', '"url":"/2"', '"url":"/3"']);
  });
});

describe("answers of unusual shape", () => {
  const shapes: [string, string, RegExp][] = [
    [
      "that ends with its connection",
      "HTTP/1.0 200 OK\r\n\r\nolder than you",
      /chunked\r\n[^]*older than you\r\n0\r\n\r\n$/i,
    ],
    [
      "in chunks with trailers",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n",
      /\r\n3\r\nabc\r\n0\r\n\r\n$/,
    ],
    [
      "after interim answers",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
      /^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nok$/,
    ],
    [
      "204 with a length",
      "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n",
      /^HTTP\/1.1 204 No Content\r\n(?![^]*content-length)/i,
    ],
    [
      "304 with a length",
      "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
      /^HTTP\/1.1 304 [^]*content-length: 5/i,
    ],
    ["without a reason", "HTTP/1.1 299\r\ncontent-length: 0\r\n\r\n", /^HTTP\/1.1 299 /],
  ];
  test.each(shapes)("an answer %s arrives whole", async (_name, bytes, expected) => {
    const app = await serve(await tcpApp((socket) => void socket.once("data", () => socket.end(bytes))));
    const heard = await raw(
      gateway.port,
      `GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nberth-ticket: ${pass} 9 - - - x\r\n\r\n`,
    );
    expect(heard).toMatch(expected);
    expect(app.port).toBeGreaterThan(0);
  });

  test("bytes beyond an answer never reach another request", async () => {
    await serve(
      await tcpApp((socket) => {
        socket.on("data", () =>
          socket.write(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
          ),
        );
      }),
    );
    const get = `GET / HTTP/1.1\r\nhost: x\r\nberth-ticket: ${pass}\r\n\r\n`;
    const last = get.replace("host: x", "host: x\r\nconnection: close");
    const heard = await raw(gateway.port, get + get + last);
    expect(heard.match(/\r\n\r\nok/g)).toHaveLength(3);
    expect(heard).not.toContain("evil");
  });

  test("an answer that breaks off is broken for the visitor too, never merely shorter", async () => {
    await serve(
      await tcpApp(
        (socket) => void socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf")),
      ),
    );
    await expect(ask()).rejects.toThrow(/aborted|ECONNRESET|socket hang up/);
  });
});

describe("streams", () => {
  const megabyte = Buffer.alloc(1024 * 1024, "berth");

  test("200 MB down to a slow visitor: every byte, and the gateway's memory stays flat", async () => {
    await serve(
      await httpApp((_asked, response) => {
        let left = 200;
        const more = (): void => {
          while (left-- > 0) if (!response.write(megabyte)) return void response.once("drain", more);
          response.end();
        };
        more();
      }),
    );
    const peakBytes = [0, 0];
    const { digest, bytes } = await new Promise<{ digest: string; bytes: number }>((resolve, reject) => {
      const asked = request(
        { host: "127.0.0.1", port: gateway.port, headers: { "berth-ticket": pass }, agent: false },
        (answer) => {
          const hash = createHash("sha256");
          let count = 0;
          answer.on("data", (part: Buffer) => {
            hash.update(part);
            count += part.length;
            if (count % 16 === 0) {
              const half = count < 100 * 1024 * 1024 ? 0 : 1;
              peakBytes[half] = Math.max(peakBytes[half] as number, residentBytes());
              answer.pause();
              setTimeout(() => answer.resume(), 1);
            }
          });
          answer.on("end", () => resolve({ digest: hash.digest("hex"), bytes: count })).on("error", reject);
        },
      );
      asked.on("error", reject).end();
    });
    const expected = createHash("sha256");
    for (let index = 0; index < 200; index++) expected.update(megabyte);
    expect(bytes).toBe(200 * 1024 * 1024);
    expect(digest).toBe(expected.digest("hex"));
    const [first, second] = peakBytes as [number, number];
    expect(second - first).toBeLessThan(32 * 1024 * 1024);
    expect(second).toBeLessThan(256 * 1024 * 1024);
  });

  test.each(["with its length", "in chunks"])(
    "50 MB up %s to a slow app: every byte, and memory stays flat",
    async (how) => {
      await serve(
        await httpApp((asked, response) => {
          const hash = createHash("sha256");
          asked.on("data", (part: Buffer) => {
            hash.update(part);
            asked.pause();
            setTimeout(() => asked.resume(), 1);
          });
          asked.on("end", () => response.end(hash.digest("hex")));
        }),
      );
      const beforeBytes = residentBytes();
      const expected = createHash("sha256");
      for (let index = 0; index < 50; index++) expected.update(megabyte);
      const headers: Record<string, string> = { "berth-ticket": pass };
      if (how === "with its length") headers["content-length"] = String(50 * megabyte.length);
      const answer = await new Promise<string>((resolve, reject) => {
        const asked = request(
          { host: "127.0.0.1", port: gateway.port, method: "POST", headers, agent: false },
          (got) => {
            let text = "";
            got
              .setEncoding("utf8")
              .on("data", (part: string) => (text += part))
              .on("end", () => resolve(text));
          },
        );
        asked.on("error", reject);
        let left = 50;
        const more = (): void => {
          while (left-- > 0) if (!asked.write(megabyte)) return void asked.once("drain", more);
          asked.end();
        };
        more();
      });
      expect(answer).toBe(expected.digest("hex"));
      expect(residentBytes() - beforeBytes).toBeLessThan(64 * 1024 * 1024);
    },
  );

  test("server-sent events arrive as they are written, and the app hears when the visitor leaves", async () => {
    let left = false;
    await serve(
      await httpApp((_asked, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        let count = 0;
        const timer = setInterval(() => response.write(`data: ${count++} ${Date.now()}\n\n`), 50);
        response.on("close", () => {
          clearInterval(timer);
          left = true;
        });
      }),
    );
    const delaysMs: number[] = [];
    await new Promise<void>((resolve) => {
      const asked = request(
        { host: "127.0.0.1", port: gateway.port, headers: { "berth-ticket": pass }, agent: false },
        (answer) => {
          answer.setEncoding("utf8").on("data", (part: string) => {
            delaysMs.push(Date.now() - Number(/ (\d+)\n/.exec(part)?.[1]));
            if (delaysMs.length < 10) return;
            asked.destroy();
            resolve();
          });
        },
      );
      asked.on("error", () => undefined).end();
    });
    expect(Math.max(...delaysMs)).toBeLessThan(500);
    expect(delaysMs.toSorted((a, b) => a - b)[5]).toBeLessThan(40);
    expect(
      await eventually(
        () => left,
        (gone) => gone,
      ),
    ).toBe(true);
  });

  test("an early answer to a large upload arrives, and the connection is good for the next request", async () => {
    await serve(
      await httpApp((asked, response) => {
        if (asked.method === "POST") response.writeHead(413).end("too much");
        else response.end("fine");
      }),
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const one = (method: string, body?: Buffer): Promise<number> =>
      new Promise((resolve, reject) => {
        const headers = { "berth-ticket": pass };
        const asked = request({ host: "127.0.0.1", port: gateway.port, method, headers, agent }, (answer) => {
          answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
        });
        asked.on("error", reject).end(body);
      });
    expect(await one("POST", Buffer.alloc(3_000_000))).toBe(413);
    expect(await one("GET")).toBe(200);
    agent.destroy();
  });
});

describe("WebSockets", () => {
  test("frames pass both ways, in order, of any size, and closing arrives with its code", async () => {
    const app = await serve(await httpApp((_asked, response) => void response.writeHead(426).end()));
    const sockets = new WebSocketServer({ server: app.server as never });
    let closedWith = 0;
    sockets.on("connection", (socket, asked) => {
      socket.send(`${asked.headers.host} ${asked.url}`);
      socket.on("message", (data, binary) => socket.send(data, { binary })).on("close", (code) => (closedWith = code));
    });
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/chat`, {
      headers: { "berth-ticket": `${pass} - - - - shop.test` },
    });
    const heard: Buffer[] = [];
    socket.on("message", (data: Buffer) => heard.push(data));
    await new Promise((resolve) => socket.once("open", resolve));
    const sent = [1, 100, 70_000, 2_000_000, 5].map((size) => Buffer.alloc(size, size % 251));
    for (const frame of sent) socket.send(frame);
    await eventually(
      () => heard.length,
      (count) => count === 6,
    );
    expect(heard[0]?.toString()).toBe("shop.test /chat");
    for (const [index, frame] of sent.entries()) expect(heard[index + 1]?.equals(frame)).toBe(true);
    const { instances } = await gateway.counters();
    expect(instances[0]).toMatchObject({ open: 1 });
    expect(instances[0]?.bytesOut).toBeGreaterThan(2_000_000);
    socket.close(4_321);
    expect(
      await eventually(
        () => closedWith,
        (code) => code !== 0,
      ),
    ).toBe(4_321);
    expect(
      await eventually(
        async () => (await gateway.counters()).instances[0]?.open,
        (open) => open === 0,
      ),
    ).toBe(0);
  });

  test("an app that refuses the upgrade is heard", async () => {
    await serve(await httpApp((_asked, response) => void response.writeHead(403).end("no")));
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/`, { headers: { "berth-ticket": pass } });
    const status = await new Promise((resolve) =>
      socket.once("unexpected-response", (_asked, answer) => resolve(answer.statusCode)),
    );
    socket.on("error", () => undefined).terminate();
    expect(status).toBe(403);
  });
});

/** The gateway process's resident memory. */
function residentBytes(): number {
  const status = readFileSync(`/proc/${gateway.process.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}
