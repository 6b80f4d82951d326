// What passes from a visitor through edge and gateway to an app and back: heads, methods, bodies, streams, WebSockets.
import { createHash } from "node:crypto";
import { request } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { eventually, httpApp, sleep, type App } from "../node-agent/gateway/upstreams.ts";
import { edgeTest, TestApp, type EdgeTest } from "./world.ts";

let world: EdgeTest;
let hello: TestApp;
let app: App;
const ended: string[] = [];
/** Writes the next event. */
let goOn = (): void => undefined;
const megabyte = Buffer.alloc(1024 * 1024, "berth");

beforeAll(async () => {
  world = await edgeTest(1);
  app = await httpApp((asked, response) => {
    const path = asked.url ?? "/";
    if (path === "/redirect") return void response.writeHead(302, { location: "/elsewhere" }).end();
    if (path === "/gzip") return void response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("squeezed"));
    if (path === "/cookies") return void response.writeHead(200, { "set-cookie": ["a=1", "b=2"] }).end();
    if (path === "/status/204") return void response.writeHead(204).end();
    if (path === "/status/304") return void response.writeHead(304, { etag: '"x"' }).end();
    if (path === "/status/421") return void response.writeHead(421).end("the app's own");
    if (path === "/big") return stream(response, 200);
    if (path === "/events") return events(response);
    if (path === "/hash") {
      const hash = createHash("sha256");
      return void asked
        .on("data", (part: Buffer) => hash.update(part))
        .on("end", () => response.end(hash.digest("hex")));
    }
    let size = 0;
    asked.on("data", (part: Buffer) => (size += part.length));
    asked.on("end", () =>
      response.end(JSON.stringify({ method: asked.method, url: path, headers: asked.headers, size })),
    );
  });
  const sockets = new WebSocketServer({ server: app.server as never });
  sockets.on("connection", (socket, asked) => {
    socket.send(`${asked.headers.host} ${asked.headers["x-request-id"] === undefined} ${asked.headers.cookie}`);
    socket.on("message", (data, binary) => socket.send(data, { binary }));
    socket.on("close", (code) => ended.push(`socket ${code}`));
  });
  hello = new TestApp(world, 1);
  await world.gateways[0]?.write({ instances: [hello.row(1, app)], routes: { [hello.app]: 1 } });
  await hello.publish(hello.route([hello.release(1, 100, [hello.endpoint(1, 1)])]));
});
afterAll(async () => {
  await world.stop();
  await app.close();
});

function stream(response: Parameters<Parameters<typeof httpApp>[0]>[1], megabytes: number): void {
  let left = megabytes;
  const more = (): void => {
    while (left-- > 0) if (!response.write(megabyte)) return void response.once("drain", more);
    response.end();
  };
  more();
}

function events(response: Parameters<Parameters<typeof httpApp>[0]>[1]): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  goOn = () => void response.write(`data: ${Date.now()}\n\n`);
  goOn();
  response.on("close", () => ended.push("events"));
}

const seen = async (wish: Parameters<TestApp["send"]>[0]) => {
  const { body } = await hello.send(wish);
  return JSON.parse(body) as { method: string; url: string; headers: Record<string, string>; size: number };
};

describe("a request", () => {
  test("arrives with the visitor's host, a request id and nothing of the visitor's claims to be the platform", async () => {
    const spoofed = {
      "berth-ticket": "a.b.c",
      "berth-route-version": "99",
      "berth-team": "t",
      "x-forwarded-host": "evil",
      forwarded: "for=1",
    };
    const { headers, url } = await seen({
      path: "/a%20b?c=d%2Fe",
      headers: { host: "APP1.localhost:8080", ...spoofed },
    });
    expect(url).toBe("/a%20b?c=d%2Fe");
    expect(headers).toMatchObject({
      host: expect.stringMatching(/^app1\.localhost:8080$/i) as string,
      "x-forwarded-proto": "http",
    });
    expect(headers["x-forwarded-host"]).toMatch(/^app1\.localhost:8080$/i);
    expect(headers["x-request-id"]).toMatch(/^[\w-]{20,}$/);
    expect(Object.keys(headers).filter((name) => name.startsWith("berth-") || name === "forwarded")).toEqual([]);
  });

  test("keeps a sane request id of its own, answers with it, and gets another for an insane one", async () => {
    const kept = await hello.send({ headers: { "x-request-id": "my-request-1" } });
    expect(kept.headers["x-request-id"]).toBe("my-request-1");
    const replaced = await hello.send({ headers: { "x-request-id": "<script>" } });
    expect(replaced.headers["x-request-id"]).toMatch(/^[\w-]{20,}$/);
  });

  test("has the address that Cloudflare names, not the one a visitor claims", async () => {
    const { headers } = await seen({
      headers: { "cf-connecting-ip": "203.0.113.7", "x-forwarded-for": "6.6.6.6", "x-real-ip": "6.6.6.6" },
    });
    expect(headers).toMatchObject({ "x-forwarded-for": "203.0.113.7", "x-real-ip": "203.0.113.7" });
  });

  test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])("%s passes", async (method) => {
    expect((await seen({ method })).method).toBe(method);
  });

  test("HEAD has no body", async () => {
    expect(await hello.send({ method: "HEAD" })).toMatchObject({ status: 200, body: "" });
  });

  test.each([0, 1, 1_048_576, 1_048_577, 5_000_000])("a body of %d bytes passes whole", async (size) => {
    expect(
      await seen({ method: "POST", body: Buffer.alloc(size, 1), headers: { "content-length": String(size) } }),
    ).toMatchObject({ size });
  });

  test("a body in chunks passes whole", async () => {
    expect(
      await seen({ method: "POST", body: "in chunks", headers: { "transfer-encoding": "chunked" } }),
    ).toMatchObject({ size: 9 });
  });
});

describe("an answer", () => {
  test("that redirects is the visitor's to follow", async () => {
    expect(await hello.send({ path: "/redirect" })).toMatchObject({ status: 302, headers: { location: "/elsewhere" } });
  });

  test("that is compressed arrives as the app made it", async () => {
    const { headers, bytes } = await binary("/gzip");
    expect(headers["content-encoding"]).toBe("gzip");
    expect(bytes.equals(gzipSync("squeezed"))).toBe(true);
  });

  test("keeps its cookies apart", async () => {
    expect((await hello.send({ path: "/cookies" })).headers["set-cookie"]).toEqual(["a=1", "b=2"]);
  });

  test.each([204, 304, 421])("of status %d is the app's own", async (status) => {
    const answer = await hello.send({ path: `/status/${status}` });
    expect(answer.status).toBe(status);
    if (status === 421) expect(answer.body).toBe("the app's own");
  });

  test("says nothing of gateways, instances and route versions", async () => {
    const { headers } = await hello.send();
    expect(Object.keys(headers).filter((name) => name.startsWith("berth-"))).toEqual([]);
  });
});

function binary(path: string): Promise<{ headers: Record<string, unknown>; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    const headers = { host: hello.hostname, "accept-encoding": "gzip" };
    request({ host: "127.0.0.1", port: world.edge.port, path, headers, agent: false }, (answer) => {
      const parts: Buffer[] = [];
      answer
        .on("data", (part: Buffer) => parts.push(part))
        .on("end", () => resolve({ headers: answer.headers, bytes: Buffer.concat(parts) }));
    })
      .on("error", reject)
      .end();
  });
}

describe("streams", () => {
  test("200 MB down arrive whole", async () => {
    const hash = createHash("sha256");
    const bytes = await new Promise<number>((resolve, reject) => {
      let count = 0;
      request(
        { host: "127.0.0.1", port: world.edge.port, path: "/big", headers: { host: hello.hostname }, agent: false },
        (answer) => {
          answer.on("data", (part: Buffer) => {
            count += part.length;
            hash.update(part);
          });
          answer.on("end", () => resolve(count)).on("error", reject);
        },
      ).end();
    });
    const expected = createHash("sha256");
    for (let index = 0; index < 200; index++) expected.update(megabyte);
    expect(bytes).toBe(200 * megabyte.length);
    expect(hash.digest("hex")).toBe(expected.digest("hex"));
  });

  test("50 MB up arrive whole", async () => {
    const body = Buffer.alloc(50 * 1024 * 1024, "up");
    const answer = await hello.send({ method: "PUT", path: "/hash", body });
    expect(answer.body).toBe(createHash("sha256").update(body).digest("hex"));
  });

  test("events arrive as they are written, and the app hears when the visitor leaves", async () => {
    const delaysMs: number[] = [];
    await new Promise<void>((resolve) => {
      const asked = request(
        { host: "127.0.0.1", port: world.edge.port, path: "/events", headers: { host: hello.hostname }, agent: false },
        (answer) => {
          answer.setEncoding("utf8").on("data", (part: string) => {
            delaysMs.push(Date.now() - Number(/data: (\d+)\n/.exec(part)?.[1]));
            // Each is written when the one before has arrived: what waited for more would wait for ever.
            if (delaysMs.length < 50) return goOn();
            asked.destroy();
            resolve();
          });
        },
      );
      asked.on("error", () => undefined).end();
    });
    // The quickest: others may have had to wait for a busy machine.
    expect(Math.min(...delaysMs)).toBeLessThan(100);
    const hasHeard = (): boolean => {
      goOn();
      return ended.includes("events");
    };
    expect(await eventually(hasHeard, (gone) => gone)).toBe(true);
  });

  test("WebSocket frames pass both ways, of any size, and closing arrives with its code", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${world.edge.port}/chat`, {
      headers: { host: hello.hostname, cookie: "c=1" },
    });
    const heard: Buffer[] = [];
    socket.on("message", (data: Buffer) => heard.push(data));
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const frames = [1, 100, 70_000, 900_000].map((size) => Buffer.alloc(size, size % 251));
    for (const frame of frames) socket.send(frame);
    await eventually(
      () => heard.length,
      (count) => count === 5,
    );
    expect(heard[0]?.toString()).toBe(`${hello.hostname} false c=1`);
    for (const [index, frame] of frames.entries()) expect(heard[index + 1]?.equals(frame)).toBe(true);
    socket.close(4_321);
    expect(
      await eventually(
        () => ended.find((what) => what.startsWith("socket")),
        (what) => what !== undefined,
      ),
    ).toBe("socket 4321");
  });

  test("a slow answer is waited for", async () => {
    const slow = new TestApp(world, 2);
    const sleepy = await httpApp((_asked, response) => void sleep(2_500).then(() => response.end("at last")));
    await world.gateways[0]?.write({ instances: [hello.row(1, app), slow.row(1, sleepy)] });
    await slow.publish(slow.route([slow.release(1, 100, [slow.endpoint(1, 1)])]));
    expect(await slow.send({ method: "POST", body: "x" })).toMatchObject({ status: 200, body: "at last" });
    await sleepy.close();
  });
});
