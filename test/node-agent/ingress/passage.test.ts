// What passes the ingress, and what does not: bodies that are sent again, visitors and apps that break off, answers of every kind.
import { once } from "node:events";
import { request, type IncomingMessage, type ServerResponse } from "node:http";
import { type ClientHttp2Session, connect as h2, constants, type IncomingHttpHeaders } from "node:http2";
import { setDefaultCACertificates } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Snapshot } from "../../../contracts/snapshot.ts";
import type { RunningIngress } from "../../../node-agent/ingress/run.ts";
import { until } from "../agent/world.ts";
import { type App, httpApp, raw } from "../gateway/upstreams.ts";
import { makeAuthority } from "../pki.ts";
import { answerOf, type Answer } from "./visits.ts";
import { endpoint, Region, release, routeOf } from "./region.ts";

const HOST = "shop.apps.test";
const BIG = Buffer.alloc(8_000_000, "0123456789abcdef");
let region: Region;
let ingress: RunningIngress;
let app: App;
let routes: Snapshot["routes"];
let session: ClientHttp2Session;
/** Requests that are waiting at the app, and those whose visitors left. */
const [waiting, left]: [string[], string[]] = [[], []];

function serve(asked: IncomingMessage, response: ServerResponse): void {
  response.on("close", () => response.writableFinished || left.push(asked.url ?? ""));
  switch (asked.url) {
    case "/echo":
      return void asked.pipe(response);
    case "/big":
      return void response.end(BIG);
    case "/never":
      return void waiting.push(asked.url);
    case "/broken":
      response.writeHead(200, { "content-length": "100" }).write("not a hundred");
      return void setTimeout(() => response.destroy(), 20);
    case "/until-close":
      response.useChunkedEncodingByDefault = false;
      response.shouldKeepAlive = false;
      return void response.end("as long as it lasts");
    case "/nothing":
      return void response.writeHead(204).end();
    case "/early":
      return void response.writeHead(409).end("no");
    default:
      response.end(`served ${asked.method}`);
  }
}

const headers = { host: HOST };
const sendH1 = (path: string, method = "GET", body?: string | Buffer, more = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const at = { host: "127.0.0.1", port: ingress.plainPort, agent: false as const, path, method };
    const sent = request({ ...at, headers: { ...headers, ...more } }, (answer) =>
      answerOf(answer).then(resolve, reject),
    );
    sent.on("error", reject).end(body);
  });
function sendH2(path: string, method = "GET", body?: string | Buffer): Promise<Answer> {
  const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const head = { ":path": path, ":method": method, ":authority": HOST, ...length };
  const sent = session.request(head, { endStream: body === undefined });
  return new Promise<Answer>((resolve, reject) => {
    let [told, text]: [IncomingHttpHeaders, string] = [{}, ""];
    sent.on("response", (head) => (told = head));
    sent.setEncoding("latin1").on("data", (part: string) => (text += part));
    sent.on("end", () => resolve({ status: Number(told[":status"]), headers: told, body: text })).on("error", reject);
    if (body !== undefined) sent.end(body);
  });
}

beforeAll(async () => {
  app = await httpApp(serve);
  region = await Region.start(2);
  await region.place(2, [[2, app.port]]);
  // Of the two that the route names, one is gone from its node.
  const releases = [release(1, 100, [endpoint(1, 1), endpoint(2, 2)])];
  await region.publish((routes = [{ hostnames: [HOST], route: routeOf({ kind: "serving", releases }) }]));
  ingress = await region.open();
  session = h2(`http://127.0.0.1:${ingress.plainPort}`);
  await once(session, "connect");
});
afterAll(async () => {
  session.destroy();
  await region.close();
  await app.close();
});

describe.each([
  ["HTTP/1.1", sendH1],
  ["HTTP/2", sendH2],
])("a visitor by %s", (_version, send) => {
  it("gets what they ask for whatever instance is gone, with bodies that can be sent again", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => send("/echo", "POST", `body ${at}`)));
    expect(answers.map(({ status, body }) => `${status} ${body}`)).toEqual(answers.map((_, at) => `200 body ${at}`));
  });

  it("gets answers of every kind as they are", async () => {
    expect(await send("/nothing")).toMatchObject({ status: 204, body: "" });
    expect(await send("/", "HEAD")).toMatchObject({ status: 200, body: "" });
    expect(await send("/", "DELETE")).toMatchObject({ status: 200, body: "served DELETE" });
    expect(await send("/until-close")).toMatchObject({ status: 200, body: "as long as it lasts" });
    expect((await send("/big")).body === BIG.toString("latin1")).toBe(true);
  });

  it("gets the answer to a body that the app did not wait for", async () => {
    expect(await send("/early", "POST", Buffer.alloc(300_000))).toMatchObject({ status: 409, body: "no" });
  });

  it("sees that an answer is broken, and never takes a part of it for the whole", async () => {
    await expect(send("/broken")).rejects.toThrow();
  });
});

describe("a visitor who leaves", () => {
  it("is left by the app too, over HTTP/1.1 and HTTP/2", async () => {
    waiting.length = left.length = 0;
    const sent = request({ host: "127.0.0.1", port: ingress.plainPort, path: "/never", headers, agent: false });
    sent.on("error", () => undefined).end();
    const stream = session.request({ ":path": "/never", ":authority": HOST });
    stream.on("error", () => undefined);
    await until("both to wait", () => waiting.length === 2);
    sent.destroy();
    stream.close(constants.NGHTTP2_CANCEL);
    await until("both to be gone", () => left.length === 2);
  });
});

describe("what is no request", () => {
  it("is refused without a word of Berth's, and the connection ends", async () => {
    const both = "content-length: 1\r\ntransfer-encoding: chunked\r\n";
    const text = await raw(ingress.plainPort, `GET / HTTP/1.1\r\nhost: ${HOST}\r\n${both}\r\n`);
    expect(text).toMatch(/^HTTP\/1.1 400 /);
    expect(text).not.toMatch(/berth/i);
  });
});

describe("a body that came in chunks", () => {
  it("is not sent twice: who has it refused on its way hears of it", async () => {
    const chunked = { "transfer-encoding": "chunked" };
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => sendH1("/echo", "POST", "z".repeat(2_000), chunked)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 503]));
  });
});

describe("a gateway with a certificate", () => {
  it("is spoken to by TLS, and by no other certificate than one that this node trusts", async () => {
    const authority = await makeAuthority();
    await region.certify(2, await authority.issue({ names: ["127.0.0.1"] }));
    await region.publish(routes);
    await until("a certificate that nobody trusts", async () => (await sendH1("/")).status === 502);
    setDefaultCACertificates([authority.ca]);
    await until("a trusted one", async () => (await sendH1("/")).status === 200);
    // Short enough to be sent again: the other instance of the two is gone.
    const body = BIG.subarray(0, 900_000);
    expect(await sendH1("/echo", "POST", body)).toMatchObject({ status: 200, body: body.toString("latin1") });
    expect((await sendH1("/big")).body === BIG.toString("latin1")).toBe(true);
  });
});
