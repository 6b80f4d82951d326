// The racks as their own edge: no control plane, real gateways, and visitors over TLS, HTTP/2, WebSockets, gRPC and raw TCP.
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request as plainRequest } from "node:http";
import { connect as h2, createServer as createH2, type Http2Server, type IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { appId, instanceId, nodeId, teamId } from "../../../bench/shared/gateway-world.ts";
import type { RunningIngress } from "../../../node-agent/ingress/run.ts";
import { freePort, until } from "../agent/world.ts";
import { httpApp, patientApp, type App } from "../gateway/upstreams.ts";
import { type Authority, makeAuthority } from "../pki.ts";
import { type Answer, answerOf, visitOver, type Wish } from "./visits.ts";
import { endpoint, Region, release, routeOf } from "./region.ts";

const HELD_PORT = 7_431;
let region: Region;
let ingress: RunningIngress;
let authority: Authority;
let apps: App[];
let grpcApp: Http2Server;
let heldPort: number;
const seen: IncomingMessage["headers"][] = [];

const appOf = (name: string) =>
  httpApp((asked, response) => {
    seen.push(asked.headers);
    if (asked.url === "/echo") return void asked.pipe(response);
    if (asked.url === "/cookies") response.setHeader("set-cookie", ["a=1", "b=2"]);
    response.end(`${name} ${asked.method} ${asked.headers.host}`);
  });

const visit = (wish?: Wish) => visitOver(ingress.tlsPort, authority.ca, wish);
function visitH2(path: string, body?: string): Promise<Answer> {
  const session = h2(`https://127.0.0.1:${ingress.tlsPort}`, { ca: authority.ca, servername: "shop.apps.test" });
  return new Promise<Answer>((resolve, reject) => {
    session.on("error", reject);
    const sent = session.request({
      ":path": path,
      ":authority": "shop.apps.test",
      ":method": body === undefined ? "GET" : "POST",
    });
    let [headers, text]: [IncomingHttpHeaders, string] = [{}, ""];
    sent.on("response", (told) => (headers = told));
    sent.setEncoding("utf8").on("data", (part: string) => (text += part));
    sent.on("end", () => resolve({ status: Number(headers[":status"]), body: text, headers }));
    sent.on("error", reject).end(body);
  }).finally(() => session.close());
}

const one = () => routeOf({ kind: "serving", releases: [release(1, 100, [endpoint(1, 1), endpoint(2, 2)])] });
const routes = (state = one()) => [
  { hostnames: ["shop.apps.test", "www.shop.example"], route: state },
  {
    hostnames: ["*.wild.example"],
    route: routeOf({ kind: "serving", releases: [release(1, 100, [endpoint(2, 3)])] }, 2),
  },
  {
    hostnames: ["grpc.apps.test"],
    route: routeOf({ kind: "serving", releases: [release(1, 100, [endpoint(2, 4)])] }, 3),
  },
  { hostnames: ["away.apps.test"], route: routeOf({ kind: "unavailable", reason: "maintenance" }, 4) },
];
const ports = () => [
  {
    port: heldPort,
    app: appId(1),
    team: teamId(1),
    endpoints: [{ instance: instanceId(2), generation: 1, node: nodeId(2) }],
  },
];

async function placeAll(): Promise<void> {
  const [a, b, c] = apps.map(({ port }) => port) as [number, number, number];
  await region.place(1, [[1, a]]);
  await region.place(2, [
    [2, b, { hostPorts: [heldPort] }],
    [3, c, { app: appId(2) }],
    [4, (grpcApp.address() as AddressInfo).port, { app: appId(3) }],
  ]);
}

beforeAll(async () => {
  heldPort = await freePort();
  authority = await makeAuthority();
  apps = await Promise.all([appOf("one"), appOf("two"), appOf("wild")]);
  grpcApp = createH2();
  grpcApp.on("stream", (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "well" }));
    stream.pipe(stream);
  });
  await new Promise<void>((resolve) => grpcApp.listen(0, "127.0.0.1", resolve));
  region = await Region.start(2);
  await placeAll();
  await region.publish(routes());
  ingress = await region.open();
  const names = [["*.apps.test"], ["www.shop.example"], ["*.wild.example"]];
  for (const [at, of] of names.entries()) {
    const { cert, key } = await authority.issue({ names: of });
    writeFileSync(join(region.member(1).gateway.dir, "ingress", `${at}.pem`), `${cert}\n${key}`);
  }
  await until("a certificate", () =>
    visit().then(
      () => true,
      () => false,
    ),
  );
});
afterAll(async () => {
  await region.close();
  for (const app of apps) await app.close();
  grpcApp.close();
});

describe("a visitor of the racks", () => {
  it("is served over TLS by every instance of the region, under the platform's hostname, a custom one and a wildcard", async () => {
    const bodies = await Promise.all(Array.from({ length: 40 }, () => visit().then(({ body }) => body)));
    expect(new Set(bodies)).toEqual(new Set(["one GET shop.apps.test", "two GET shop.apps.test"]));
    expect((await visit({ host: "www.shop.example" })).body).toMatch(/^(one|two) GET www.shop.example$/);
    expect((await visit({ host: "a.wild.example" })).body).toBe("wild GET a.wild.example");
  });

  it("is told apart from other visitors: who they are comes from the ingress, and nothing of Berth's goes out", async () => {
    seen.length = 0;
    const forged = { "x-forwarded-for": "6.6.6.6", "berth-ticket": "x", "x-forwarded-proto": "gopher" };
    const { headers } = await visit({ path: "/cookies", headers: forged });
    expect(seen[0]).toMatchObject({ "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https" });
    expect(seen[0]).not.toHaveProperty("berth-ticket");
    expect(Object.keys(headers).filter((name) => name.startsWith("berth-"))).toEqual([]);
    expect(headers["set-cookie"]).toEqual(["a=1", "b=2"]);
  });

  it("may use HTTP/2 over TLS, and HTTP/2 and HTTP/1.1 without", async () => {
    expect((await visitH2("/")).body).toMatch(/^(one|two) GET shop.apps.test$/);
    expect((await visitH2("/echo", "x".repeat(300_000))).body).toHaveLength(300_000);
    const session = h2(`http://127.0.0.1:${ingress.plainPort}`);
    const sent = session.request({ ":path": "/", ":authority": "shop.apps.test" });
    const status = await new Promise((resolve) => sent.on("response", (told) => resolve(told[":status"])));
    session.destroy();
    expect(status).toBe(200);
    const plain = await new Promise<Answer>((resolve, reject) => {
      const at = {
        host: "127.0.0.1",
        port: ingress.plainPort,
        agent: false as const,
        headers: { host: "shop.apps.test" },
      };
      plainRequest(at, (answer) => void answerOf(answer).then(resolve, reject))
        .on("error", reject)
        .end();
    });
    expect(plain.body).toMatch(/GET shop.apps.test$/);
  });

  it("sends bodies of any length, with and without saying how long they are", async () => {
    const body = "y".repeat(2_000_000);
    expect(
      (await visit({ path: "/echo", method: "POST", body, headers: { "content-length": String(body.length) } })).body,
    ).toBe(body);
    expect(
      (await visit({ path: "/echo", method: "POST", body, headers: { "transfer-encoding": "chunked" } })).body,
    ).toBe(body);
  });

  it("of no app of the region, of one in maintenance and of the platform's own paths is told so", async () => {
    expect(await visit({ host: "other.apps.test" })).toMatchObject({ status: 404 });
    expect(await visit({ host: "away.apps.test" })).toMatchObject({ status: 503 });
    expect(await visit({ path: "/.berth/logs" })).toMatchObject({ status: 404 });
    expect(JSON.parse((await visit({ path: "/.berth/ingress" })).body)).toMatchObject({ ingress: true, region: "fra" });
    await expect(visit({ host: "nobody.test" })).rejects.toThrow();
  });

  it("keeps a WebSocket open through the ingress", async () => {
    const server = createServer();
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(`heard ${String(data)}`)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    await region.place(1, [[1, (server.address() as AddressInfo).port]]);
    await region.publish(routes(routeOf({ kind: "serving", releases: [release(1, 100, [endpoint(1, 1)])] })));
    await until(
      "the ingress to look",
      async () => JSON.parse((await visit({ path: "/.berth/ingress" })).body).version === 2,
    );
    const at = { ca: authority.ca, servername: "shop.apps.test", headers: { host: "shop.apps.test" } };
    const socket = new WebSocket(`wss://127.0.0.1:${ingress.tlsPort}/`, at);
    const heard = new Promise((resolve, reject) => {
      socket.on("message", (data) => resolve(String(data)));
      socket.on("error", reject);
    });
    socket.on("open", () => socket.send("hello"));
    expect(await heard).toBe("heard hello");
    socket.terminate();
    sockets.close();
    server.closeAllConnections();
    server.close();
    await placeAll();
  });

  it("calls by gRPC, and gets the app's trailers; of an app that nobody knows they hear it in gRPC's words", async () => {
    const session = h2(`https://127.0.0.1:${ingress.tlsPort}`, { ca: authority.ca, servername: "grpc.apps.test" });
    const call = (authority: string) =>
      new Promise<{ body: string; trailers: IncomingHttpHeaders }>((resolve, reject) => {
        const head = {
          ":method": "POST",
          ":path": "/echo.Echo/Say",
          ":authority": authority,
          "content-type": "application/grpc",
          te: "trailers",
        };
        const sent = session.request(head);
        let [body, trailers]: [string, IncomingHttpHeaders] = ["", {}];
        sent.on("response", (told) => "grpc-status" in told && (trailers = told));
        sent.on("trailers", (told) => (trailers = told));
        sent.setEncoding("utf8").on("data", (part: string) => (body += part));
        sent.on("end", () => resolve({ body, trailers })).on("error", reject);
        sent.end("\0\0\0\0\x02hi");
      });
    expect(await call("grpc.apps.test")).toMatchObject({
      body: "\0\0\0\0\x02hi",
      trailers: { "grpc-status": "0", "grpc-message": "well" },
    });
    expect((await call("none.apps.test")).trailers["grpc-status"]).toBe("12");
    session.destroy();
  });

  it("reaches a TCP port that an instance holds on another node, and no port that is not its; who has said all still hears the answer", async () => {
    const held = await patientApp();
    // The instance's own address serves that port; here both are this host, so that the ingress listens at another address.
    await region.place(2, [[2, held.port, { hostPorts: [held.port] }]]);
    const served = { ...ports()[0]!, port: held.port };
    const other = await region.openElsewhere("127.0.0.2");
    await region.publish(routes(), [served, { ...served, port: HELD_PORT }]);
    const say = (port: number) =>
      new Promise<string>((resolve, reject) => {
        const socket = connect(port, "127.0.0.2", () => socket.end("x"));
        socket.once("data", (bytes) => resolve(bytes.toString()));
        socket.once("error", reject);
        socket.once("close", () => reject(new Error("closed")));
      });
    expect(await until("the port", () => say(held.port).catch(() => null))).toBe("heard 1");
    await expect(say(HELD_PORT)).rejects.toThrow();
    await other.close();
    await held.close();
    await placeAll();
  });
});

describe("a node that dies", () => {
  it("costs no visitor whose request can be repeated anything, and nobody is sent there once the snapshot forgets it", async () => {
    await region.publish(routes());
    await until(
      "both",
      async () =>
        new Set(await Promise.all(Array.from({ length: 10 }, () => visit().then(({ body }) => body)))).size === 2,
    );
    const { gateway } = region.member(2);
    gateway.process.kill("SIGKILL");
    const answers = await Promise.all(Array.from({ length: 30 }, () => visit()));
    expect(answers.map(({ status }) => status).filter((status) => status !== 200)).toEqual([]);
    expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(["one GET shop.apps.test"]));
    expect(await visit({ host: "a.wild.example" })).toMatchObject({ status: 502 });
    const post = await visit({ path: "/echo", method: "POST", body: "z" });
    expect(post).toMatchObject({ status: 200, body: "z" });
  });
});
