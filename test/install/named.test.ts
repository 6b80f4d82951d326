// One line on a bare server behind NAT whose router forwards the gateway's port: a name, a certificate from a real ACME server, schedulable.
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type DnsServer, startDnsServer } from "../../dev/dns/server.ts";
import { Zone } from "../../dev/dns/zone.ts";
import { eventually } from "../e2e/support.ts";
import { type Pebble, startPebble } from "../node-agent/certificate/pebble.ts";
import { BareNetwork, type BareSystem } from "./bare-system.ts";
import { Installation, nodeOf } from "./installation.ts";

const KEY = "dns-key";
const GATEWAY_PORT = 7_070;
const DAY_S = 86_400;
/** Where the agent's unit is told whom to trust beside the public authorities: this ACME server is none of theirs. */
const DROP_IN = "/etc/systemd/system/berth-agent.service.d";

const zone = new Zone("nodes.test");
let dns: DnsServer;
let pebble: Pebble;
let here: Installation;
let server: BareSystem;

beforeAll(async () => {
  dns = await startDnsServer([zone], 0, KEY);
  const network = await BareNetwork.create({ nat: true });
  pebble = await startPebble({ dnsAddress: dns.address, validitySeconds: DAY_S, names: [network.gateway] });
  const acme = await network.forward(pebble.directoryUrl);
  const names = { NODES_ZONE: "nodes.test", POWERDNS_URL: dns.apiUrl, POWERDNS_API_KEY: KEY };
  here = await Installation.create({ network, controlVars: { ...names, ACME_DIRECTORY: `${acme}/dir` } });
  server = await network.boot();
  const trusts = `[Service]\nEnvironment=NODE_EXTRA_CA_CERTS=${DROP_IN}/ca.pem\n`;
  await server.sh(
    `mkdir -p ${DROP_IN}; printf '${trusts}' >${DROP_IN}/acme.conf; cat >${DROP_IN}/ca.pem`,
    readFileSync(pebble.caFile),
  );
  await network.forward(`http://${await server.address()}:${GATEWAY_PORT}`, network.gateway, GATEWAY_PORT);
}, 400_000);
afterAll(async () => {
  await here?.end();
  await Promise.all([pebble?.stop(), dns?.close()]);
});

/** As the edge asks it: at the router's address, by the node's name, its certificate checked. */
function healthOf(name: string): Promise<string> {
  const at = {
    host: here.network.gateway,
    port: GATEWAY_PORT,
    servername: name,
    ca: pebble.root,
    agent: false as const,
  };
  return new Promise((resolve, reject) => {
    const asked = request({ ...at, path: "/.berth/health", headers: { host: name } }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => resolve(text)).on("error", reject);
    });
    asked.on("error", reject).end();
  });
}

test("within 60 s it has its name, its certificate, and takes placements; the edge reaches it by that name through the router", async () => {
  const startedAtMs = performance.now();
  const router = here.network.gateway;
  const options = `--token ${await here.token()} --name named --runtime process --public-address ${router}`;
  const ran = await here.install(server, options);
  expect(ran, ran.out).toMatchObject({ code: 0 });
  const id = await nodeOf(server);
  const name = `n-${id.replace("node_", "")}.nodes.test`;
  const [node] = await eventually(
    () => here.nodes(),
    ([first]) => first?.phase === "ready" && first.conditions.length === 0 && first.gatewayUrl.startsWith("https:"),
    { withinMs: 60_000 },
  );
  expect(performance.now() - startedAtMs).toBeLessThan(60_000);
  expect(node?.gatewayUrl).toBe(`https://${name}:${GATEWAY_PORT}`);
  expect(zone.find(name, "A").records.map(({ value }) => value)).toEqual([router]);
  expect(JSON.parse(await healthOf(name))).toMatchObject({ status: "ok", node: id });
}, 120_000);
