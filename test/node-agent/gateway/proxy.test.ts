// Heads and answers through a gateway: what is handed on, what is refused, and answers of unusual shape.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Served } from "./served.ts";
import { httpApp, raw, tcpApp } from "./upstreams.ts";

let served: Served;
let pass: string;

beforeAll(async () => {
  served = await Served.start();
});
beforeEach(async () => {
  pass = await served.pass();
});
afterAll(() => served.stop());

describe("heads", () => {
  beforeAll(() => serveEcho());
  async function serveEcho(): Promise<void> {
    await served.serve(
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
    const { status, headers, body } = await served.ask({
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
      expect(JSON.parse((await served.ask({ method })).body)).toMatchObject({ method });
    },
  );

  test("HEAD has the head and no body, and the connection goes on", async () => {
    const head = `HEAD / HTTP/1.1\r\nhost: x\r\nberth-ticket: ${pass}\r\n\r\n`;
    const get = `GET /second HTTP/1.1\r\nhost: x\r\nberth-ticket: ${pass}\r\n\r\n`;
    const heard = await raw(served.gateway.port, head + get, "/second");
    expect(heard.match(/HTTP\/1.1 200 OK/g)).toHaveLength(2);
    expect(heard.indexOf("{")).toBeGreaterThan(heard.lastIndexOf("HTTP/1.1 200 OK"));
  });

  test("a head of 100 KB passes, one beyond the limit gets 431", async () => {
    const big = await served.ask({ headers: { "x-big": "b".repeat(100_000) } });
    expect(big).toMatchObject({ status: 200, body: expect.stringContaining("b".repeat(100_000)) as string });
    const tooBig = `GET / HTTP/1.1\r\nhost: x\r\n${`a: ${"b".repeat(1_000)}\r\n`.repeat(140)}\r\n`;
    expect(await raw(served.gateway.port, tooBig)).toMatch(/^HTTP\/1.1 431 /);
  });

  test.each([
    ["GET / HTTP/1.0\r\n\r\n", 505],
    ["GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400],
    ["\x16\x03\x01\x02\r\n\r\n", 400],
  ])("%j is refused as the gateway's own answer and the connection closed", async (bytes, status) => {
    const heard = await raw(served.gateway.port, bytes);
    expect(heard).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(heard).toContain("\r\nberth-gateway-error: malformed_request\r\n");
  });

  test("requests sent one after the other without waiting are answered in order", async () => {
    const one = (path: string) =>
      `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nberth-ticket: ${pass}\r\n\r\nabc`;
    const heard = await raw(served.gateway.port, one("/1") + one("/2") + one("/3"), '"/3"');
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
    const app = await served.serve(await tcpApp((socket) => void socket.once("data", () => socket.end(bytes))));
    const heard = await raw(
      served.gateway.port,
      `GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nberth-ticket: ${pass} 9 - - - x\r\n\r\n`,
    );
    expect(heard).toMatch(expected);
    expect(app.port).toBeGreaterThan(0);
  });

  test("bytes beyond an answer never reach another request", async () => {
    await served.serve(
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
    const heard = await raw(served.gateway.port, get + get + last);
    expect(heard.match(/\r\n\r\nok/g)).toHaveLength(3);
    expect(heard).not.toContain("evil");
  });

  test("an answer that breaks off is broken for the visitor too, never merely shorter", async () => {
    await served.serve(
      await tcpApp(
        (socket) => void socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf")),
      ),
    );
    await expect(served.ask()).rejects.toThrow(/aborted|ECONNRESET|socket hang up/);
  });
});
