// An ingress hands its ports over under load: no visitor is refused, none is cut off, and what was open goes on.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { Agent, request, type ServerResponse } from "node:http";
import { join } from "node:path";
import { exportJWK } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { nodeId } from "../../../bench/shared/gateway-world.ts";
import { endIngress } from "../../../node-agent/agent/break-glass/ingress-child.ts";
import { DoorClient } from "../../../node-agent/agent/gateway-child/door-client.ts";
import { Identity, IDENTITY_FILE } from "../../../node-agent/agent/state/identity.ts";
import { INGRESS_SOCKET } from "../../../node-agent/ingress/hand-over.ts";
import { freePort, until } from "../agent/world.ts";
import { type App, httpApp } from "../gateway/upstreams.ts";
import { endpoint, Region, release, routeOf } from "../ingress/region.ts";

const HOST = "shop.apps.test";
const MAIN = new URL("../../../node-agent/agent/main.ts", import.meta.url).pathname;
let region: Region;
let app: App;
let child: ChildProcess;
let door: DoorClient;
let port: number;
let args: string[];
const slow: ServerResponse[] = [];

const visit = (path: string, agent: Agent | false): Promise<string> =>
  new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path, agent, headers: { host: HOST } }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => resolve(text)).on("error", reject);
    })
      .on("error", reject)
      .end();
  });
const pid = (): number => JSON.parse(readFileSync(join(region.member(1).gateway.dir, "ingress.pid"), "utf8")).pid;

beforeAll(async () => {
  app = await httpApp((asked, response) => {
    if (asked.url === "/slow") return void slow.push(response);
    response.end("served");
  });
  region = await Region.start(1);
  await region.place(1, [[1, app.port]]);
  const releases = [release(1, 100, [endpoint(1, 1)])];
  await region.publish([{ hostnames: [HOST], route: routeOf({ kind: "serving", releases }) }]);
  const { gateway, key } = region.member(1);
  await Identity.open(gateway.dir);
  const path = join(gateway.dir, IDENTITY_FILE);
  const { kty, crv, x, d } = await exportJWK(key);
  const enrolled = { node: nodeId(1), cell: "fra.0", credential: "x", ticketKeys: [] };
  writeFileSync(
    path,
    JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), sign: { kty, crv, x, d }, enrolled }),
  );
  port = await freePort();
  const ports = ["--ingress", `${await freePort()},${port}`, "--ingress-host", "127.0.0.1"];
  args = [MAIN, "ingress", "--dir", gateway.dir, ...ports];
  child = spawn(process.execPath, args, { stdio: "ignore", detached: true });
  door = new DoorClient(join(gateway.dir, INGRESS_SOCKET));
  await until("the ingress", () =>
    visit("/", false)
      .then((text) => text === "served")
      .catch(() => false),
  );
});
afterAll(async () => {
  door.close();
  await endIngress(region.member(1).gateway.dir);
  child.kill("SIGKILL");
  await region.close();
  await app.close();
});

it("is handed over twice under load, without a request that fails, and a long answer goes on", async () => {
  const long = visit("/slow", false);
  await until("the long request", () => slow.length === 1);
  const first = pid();
  let isOver = false;
  const failed: string[] = [];
  let served = 0;
  const visitors = Array.from({ length: 8 }, async (_, at) => {
    const agent = at % 2 === 0 ? new Agent({ keepAlive: true }) : false;
    while (!isOver)
      await visit("/", agent).then(
        () => (served += 1),
        (error: unknown) => failed.push(String(error)),
      );
    if (agent) agent.destroy();
  });
  for (let round = 0; round < 2; round += 1) {
    const [before, had] = [pid(), served];
    await door.handOver({ program: process.execPath, args });
    await until("the next one", () => pid() !== before && served > had + 50);
  }
  isOver = true;
  await Promise.all(visitors);
  expect(failed).toEqual([]);
  expect(pid()).not.toBe(first);
  slow[0]?.end("at last");
  expect(await long).toBe("at last");
  await until("the first to end", () => child.exitCode !== null);
});
