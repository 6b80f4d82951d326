// An ingress and a node that nobody dials: visitors reach what runs there through its relay, whatever they speak.
import { request } from "node:http";
import { connect as h2, createServer as createH2, type Http2Server, type IncomingHttpHeaders } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { appId, instanceId, nodeId, teamId } from "../../../bench/shared/gateway-world.ts";
import type { RunningIngress } from "../../../node-agent/ingress/run.ts";
import { until } from "../agent/world.ts";
import { type App, httpApp, tcpApp } from "../gateway/upstreams.ts";
import { answerOf } from "./visits.ts";
import { endpoint, Region, release, routeOf } from "./region.ts";

/** Where the ports of instances on this host are free. */
const HOST = "127.0.0.2";
let region: Region;
let ingress: RunningIngress;
let app: App;
let held: App;
let grpcApp: Http2Server;

beforeAll(async () => {
  app = await httpApp((asked, response) => response.end(`${asked.method} ${asked.headers.host}`));
  held = await tcpApp((socket) => socket.on("data", (bytes) => socket.write(`held ${bytes.toString()}`)));
  grpcApp = createH2();
  grpcApp.on("stream", (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.pipe(stream);
  });
  await new Promise<void>((resolve) => grpcApp.listen(0, "127.0.0.1", resolve));
  region = await Region.start(2);
  await region.hide(2, 1);
  await region.place(2, [
    [1, app.port, { hostPorts: [held.port] }],
    [2, (grpcApp.address() as AddressInfo).port, { app: appId(2) }],
  ]);
  const serving = (instance: number, of: number) =>
    routeOf({ kind: "serving", releases: [release(1, 100, [endpoint(2, instance)])] }, of);
  const routes = [
    { hostnames: ["shop.apps.test"], route: serving(1, 1) },
    { hostnames: ["grpc.apps.test"], route: serving(2, 2) },
  ];
  const where = { instance: instanceId(1), generation: 1, node: nodeId(2) };
  await region.publish(routes, [{ port: held.port, app: appId(1), team: teamId(1), endpoints: [where] }]);
  ingress = await region.open({ host: HOST });
});
afterAll(async () => {
  await region?.close();
  await Promise.all([app?.close(), held?.close()]);
  grpcApp?.close();
});

function visit(): Promise<{ status: number; body: string }> {
  const at = { host: HOST, port: ingress.plainPort, agent: false as const, headers: { host: "shop.apps.test" } };
  return new Promise((resolve, reject) => {
    request(at, (answer) => void answerOf(answer).then(resolve, reject))
      .on("error", reject)
      .end();
  });
}

test("HTTP: by the ingress's own ticket, which its relay passes on", async () => {
  const answer = await until("the connection to the relay", async () => {
    const seen = await visit();
    return seen.status === 200 ? seen : null;
  });
  expect(answer.body).toBe("GET shop.apps.test");
});

test("raw TCP: a host port that its operator offers", async () => {
  const said = await new Promise((resolve, reject) => {
    const socket = connect(held.port, HOST, () => socket.write("hello"));
    socket.once("data", (bytes) => {
      resolve(bytes.toString());
      socket.destroy();
    });
    socket.once("error", reject).once("close", () => reject(new Error("closed")));
  });
  expect(said).toBe("held hello");
});

test("gRPC: with the app's trailers", async () => {
  const session = h2(`http://${HOST}:${ingress.plainPort}`);
  const head = {
    ...{ ":method": "POST", ":path": "/echo.Echo/Say", ":authority": "grpc.apps.test" },
    ...{ "content-type": "application/grpc", te: "trailers" },
  };
  const answer = await new Promise<{ body: string; trailers: IncomingHttpHeaders }>((resolve, reject) => {
    const sent = session.request(head);
    let [body, trailers]: [string, IncomingHttpHeaders] = ["", {}];
    sent.on("response", (told) => "grpc-status" in told && (trailers = told));
    sent.on("trailers", (told) => (trailers = told));
    sent.setEncoding("utf8").on("data", (part: string) => (body += part));
    sent.on("end", () => resolve({ body, trailers })).on("error", reject);
    sent.end("\0\0\0\0\x02hi");
  });
  session.destroy();
  expect(answer).toMatchObject({ body: "\0\0\0\0\x02hi", trailers: { "grpc-status": "0" } });
});
