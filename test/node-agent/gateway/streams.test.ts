// Streams and WebSockets through a gateway: both ways, unharmed, as they come, and without piling up.
import { createHash } from "node:crypto";
import { Agent, request } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { Served } from "./served.ts";
import { eventually, httpApp } from "./upstreams.ts";

let served: Served;
let pass: string;

beforeAll(async () => {
  served = await Served.start();
});
beforeEach(async () => {
  pass = await served.pass();
});
afterAll(() => served.stop());

describe("streams", () => {
  const megabyte = Buffer.alloc(1024 * 1024, "berth");

  test("200 MB down to a slow visitor: every byte, and the gateway's memory stays flat", async () => {
    await served.serve(
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
        { host: "127.0.0.1", port: served.gateway.port, headers: { "berth-ticket": pass }, agent: false },
        (answer) => {
          const hash = createHash("sha256");
          let count = 0;
          answer.on("data", (part: Buffer) => {
            hash.update(part);
            count += part.length;
            if (count % 16 === 0) {
              const half = count < 100 * 1024 * 1024 ? 0 : 1;
              peakBytes[half] = Math.max(peakBytes[half] as number, served.residentBytes());
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
      await served.serve(
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
      const beforeBytes = served.residentBytes();
      const expected = createHash("sha256");
      for (let index = 0; index < 50; index++) expected.update(megabyte);
      const headers: Record<string, string> = { "berth-ticket": pass };
      if (how === "with its length") headers["content-length"] = String(50 * megabyte.length);
      const answer = await new Promise<string>((resolve, reject) => {
        const asked = request(
          { host: "127.0.0.1", port: served.gateway.port, method: "POST", headers, agent: false },
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
      expect(served.residentBytes() - beforeBytes).toBeLessThan(64 * 1024 * 1024);
    },
  );

  test("server-sent events arrive as they are written, and the app hears when the visitor leaves", async () => {
    let left = false;
    let goOn = (): void => undefined;
    await served.serve(
      await httpApp((_asked, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        let count = 0;
        goOn = () => void response.write(`data: ${count++} ${Date.now()}\n\n`);
        goOn();
        response.on("close", () => (left = true));
      }),
    );
    const delaysMs: number[] = [];
    await new Promise<void>((resolve) => {
      const asked = request(
        { host: "127.0.0.1", port: served.gateway.port, headers: { "berth-ticket": pass }, agent: false },
        (answer) => {
          answer.setEncoding("utf8").on("data", (part: string) => {
            delaysMs.push(Date.now() - Number(/ (\d+)\n/.exec(part)?.[1]));
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
    expect(Math.min(...delaysMs)).toBeLessThan(40);
    expect(
      await eventually(
        () => left,
        (gone) => gone,
      ),
    ).toBe(true);
  });

  test("an early answer to a large upload arrives, and the connection is good for the next request", async () => {
    await served.serve(
      await httpApp((asked, response) => {
        if (asked.method === "POST") response.writeHead(413).end("too much");
        else response.end("fine");
      }),
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const one = (method: string, body?: Buffer): Promise<number> =>
      new Promise((resolve, reject) => {
        const headers = { "berth-ticket": pass };
        const asked = request({ host: "127.0.0.1", port: served.gateway.port, method, headers, agent }, (answer) => {
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
    const app = await served.serve(await httpApp((_asked, response) => void response.writeHead(426).end()));
    const sockets = new WebSocketServer({ server: app.server as never });
    let closedWith = 0;
    sockets.on("connection", (socket, asked) => {
      socket.send(`${asked.headers.host} ${asked.url}`);
      socket.on("message", (data, binary) => socket.send(data, { binary })).on("close", (code) => (closedWith = code));
    });
    const socket = new WebSocket(`ws://127.0.0.1:${served.gateway.port}/chat`, {
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
    const { instances } = await served.gateway.counters();
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
        async () => (await served.gateway.counters()).instances[0]?.open,
        (open) => open === 0,
      ),
    ).toBe(0);
  });

  test("an app that refuses the upgrade is heard", async () => {
    await served.serve(await httpApp((_asked, response) => void response.writeHead(403).end("no")));
    const socket = new WebSocket(`ws://127.0.0.1:${served.gateway.port}/`, { headers: { "berth-ticket": pass } });
    const status = await new Promise((resolve) =>
      socket.once("unexpected-response", (_asked, answer) => resolve(answer.statusCode)),
    );
    socket.on("error", () => undefined).terminate();
    expect(status).toBe(403);
  });
});
