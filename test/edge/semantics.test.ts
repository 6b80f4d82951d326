// HTTP's finer points through edge and gateway: HEAD, Range, conditions, Expect, interim answers, trailers, pipelining.
import { request, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpApp, raw } from "../node-agent/gateway/upstreams.ts";
import { edgeTest, Stage, type TestApp } from "./world.ts";

const CONTENT = Buffer.from("0123456789".repeat(100));
let stage: Stage;
let app: TestApp;

beforeAll(async () => {
  stage = new Stage(await edgeTest(1));
  app = stage.fresh();
  const backend = stage.add(
    await httpApp((asked, response) => {
      const { url = "/", headers } = asked;
      if (url === "/hints") {
        response.writeEarlyHints({ link: "</style.css>; rel=preload" });
        return void response.writeHead(200, { "content-type": "text/plain" }).end("hinted");
      }
      if (url === "/trailers") {
        response.writeHead(200, { trailer: "x-sum", "content-type": "text/plain" });
        response.write("body");
        response.addTrailers({ "x-sum": "42" });
        return void response.end();
      }
      if (url === "/early") {
        // Answered before the body is read. What still comes is thrown away, not reset: a reset takes the answer with it.
        response.writeHead(413).end("too much");
        return void asked.resume();
      }
      if (url === "/upload") {
        let size = 0;
        asked.on("data", (part: Buffer) => (size += part.length));
        return void asked.on("end", () => response.end(`${size} ${headers.expect ?? "no expect"}`));
      }
      const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "");
      const base = { etag: '"v1"', "accept-ranges": "bytes", "content-type": "application/octet-stream" };
      if (headers["if-none-match"] === '"v1"') return void response.writeHead(304, base).end();
      if (headers["if-range"] !== undefined && headers["if-range"] !== '"v1"')
        return void response.writeHead(200, { ...base, "content-length": CONTENT.length }).end(CONTENT);
      if (range) {
        const [from, to] = [Number(range[1]), Number(range[2])];
        if (from >= CONTENT.length) {
          return void response.writeHead(416, { ...base, "content-range": `bytes */${CONTENT.length}` }).end();
        }
        const part = CONTENT.subarray(from, to + 1);
        const more = { "content-range": `bytes ${from}-${to}/${CONTENT.length}`, "content-length": part.length };
        return void response.writeHead(206, { ...base, ...more }).end(part);
      }
      response.writeHead(200, { ...base, "content-length": CONTENT.length }).end(CONTENT);
    }),
  );
  await stage.put(1, app.row(1, backend));
  await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 1)])]));
});
afterAll(() => stage.stop());

const head = (lines: readonly string[]): string => [...lines, `host: ${app.hostname}`, "", ""].join("\r\n");

describe("HEAD", () => {
  test("has the length that GET would have, and no body", async () => {
    const { status, headers, body } = await app.send({ method: "HEAD" });
    expect({ status, length: headers["content-length"], body }).toEqual({ status: 200, length: "1000", body: "" });
  });
});

describe("Range", () => {
  test("a part is answered as the app answers it", async () => {
    const { status, headers, body } = await app.send({ headers: { range: "bytes=10-19" } });
    expect({ status, range: headers["content-range"], body }).toEqual({
      status: 206,
      range: "bytes 10-19/1000",
      body: "0123456789",
    });
  });

  test("beyond the end is 416; of another version the whole is answered; an unchanged one is 304", async () => {
    const beyond = await app.send({ headers: { range: "bytes=2000-2001" } });
    expect([beyond.status, beyond.headers["content-range"]]).toEqual([416, "bytes */1000"]);
    const other = await app.send({ headers: { range: "bytes=10-19", "if-range": '"v0"' } });
    expect([other.status, other.body.length]).toEqual([200, 1_000]);
    const same = await app.send({ headers: { "if-none-match": '"v1"' } });
    expect([same.status, same.headers.etag, same.body]).toEqual([304, '"v1"', ""]);
  });
});

describe("Expect: 100-continue", () => {
  test("a visitor that waits for leave to send gets it, and its body arrives whole", async () => {
    const answer = await new Promise<IncomingMessage & { text?: string }>((resolve, reject) => {
      const asked = request({
        ...{ host: "127.0.0.1", port: stage.world.edge.port, method: "POST", path: "/upload", agent: false },
        headers: { host: app.hostname, expect: "100-continue", "content-length": "100000" },
      });
      asked.on("continue", () => asked.end(Buffer.alloc(100_000, 1)));
      asked.on("error", reject).setTimeout(60_000, () => reject(new Error("neither leave nor answer in a minute")));
      asked.on("response", (response: IncomingMessage & { text?: string }) => {
        response.text = "";
        response.setEncoding("utf8").on("data", (part: string) => (response.text += part));
        response.on("end", () => resolve(response));
      });
      asked.flushHeaders();
    });
    expect([answer.statusCode, answer.text?.split(" ")[0]]).toEqual([200, "100000"]);
  });
});

describe("what does not survive a Worker", () => {
  test("interim answers other than 100: the real answer arrives without them", async () => {
    const heard = await raw(stage.world.edge.port, head(["GET /hints HTTP/1.1", "connection: close"]));
    expect(heard).toMatch(/^HTTP\/1\.1 200 /);
    expect(heard).not.toContain("HTTP/1.1 103");
    expect(heard).toContain("hinted");
  });

  test("trailers: the body arrives whole without them", async () => {
    const heard = await raw(
      stage.world.edge.port,
      head(["GET /trailers HTTP/1.1", "te: trailers", "connection: close"]),
    );
    expect(heard).toContain("body");
    expect(heard).not.toContain("x-sum: 42");
  });
});

describe("connections", () => {
  test("an answer before the end of a large upload arrives", async () => {
    const { status, body } = await app.send({
      ...{ method: "POST", path: "/early", body: Buffer.alloc(4_000_000) },
      headers: { "content-length": "4000000" },
    });
    expect([status, body]).toEqual([413, "too much"]);
  });

  test("pipelined requests are answered in their order", async () => {
    const one = head(["GET / HTTP/1.1", "range: bytes=0-0"]);
    const two = head(["GET / HTTP/1.1", "range: bytes=1-1"]);
    const three = head(["GET / HTTP/1.1", "range: bytes=2-2", "connection: close"]);
    const heard = await raw(stage.world.edge.port, one + two + three);
    expect([...heard.matchAll(/content-range: bytes (\d)-\d/gi)].map(([, from]) => from)).toEqual(["0", "1", "2"]);
  });
});
