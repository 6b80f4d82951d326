// The certificates of an ingress from a real ACME server, ahead of need: challenges answered under the names that hostnames delegate theirs to.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { releaseId, instanceId, nodeId } from "../../../bench/shared/gateway-world.ts";
import { RegionName } from "../../../contracts/ids.ts";
import { ChallengeRequest, NameRequest } from "../../../contracts/node-names.ts";
import type { Snapshot } from "../../../contracts/snapshot.ts";
import { delegatedRecord } from "../../../core/names/ingress-names.ts";
import { addressRecords, challengeRecord, gatewayUrlOf, nodeName } from "../../../core/names/node-name.ts";
import { type DnsServer, startDnsServer } from "../../../dev/dns/server.ts";
import { Zone } from "../../../dev/dns/zone.ts";
import { REGION_FILE } from "../../../node-agent/snapshot-file.ts";
import { freePort, makeWorld, until, type World } from "../agent/world.ts";
import { routeOf } from "../ingress/region.ts";
import { visitOver } from "../ingress/visits.ts";
import { startPebble, type Pebble } from "./pebble.ts";

/** All of it in one zone of ours, as a resolver on the internet sees the customer's and the operator's. */
const zone = new Zone("test");
const NODES = "nodes.test";
let dns: DnsServer;
let pebble: Pebble;
let world: World;
let tlsPort: number;
const asked: string[] = [];

/** The control plane's part, as workers/control/names has it. */
function controlNames(path: string, body: unknown): object {
  const name = nodeName(world.peer.node, NODES);
  if (path.endsWith("/name")) {
    const { addresses, gatewayPort } = NameRequest.parse(body);
    for (const [type, values] of Object.entries(addressRecords(addresses))) zone.set(name, type as "A", values);
    return { name, gatewayUrl: gatewayUrlOf(name, gatewayPort), acme: { directoryUrl: pebble.directoryUrl } };
  }
  const { value, hostname } = ChallengeRequest.parse(body);
  const record = hostname === undefined ? challengeRecord(name) : delegatedRecord(hostname, NODES);
  if (hostname !== undefined && value !== null) asked.push(hostname);
  zone.set(record, "TXT", value === null ? [] : [value]);
  return { record };
}

function writeRegion(hostnames: string[]): void {
  const endpoints = [{ instance: instanceId(1), generation: 1, node: nodeId(1), gatewayUrl: "http://127.0.0.1:9" }];
  const releases = [{ release: releaseId(1), version: 1, weight: 100, endpoints }];
  const snapshot: Snapshot = {
    ...{ region: RegionName.parse("local"), version: 1, atMs: 0, baseDomain: "apps.test", nodes: [], ports: [] },
    routes: [{ hostnames, route: routeOf({ kind: "serving", releases }) }],
  };
  writeFileSync(join(world.dir, REGION_FILE), JSON.stringify(snapshot));
}
const stored = () =>
  JSON.parse(readFileSync(join(world.dir, "ingress-orders.json"), "utf8")) as {
    failed: Record<string, { failures: number }>;
  };
/** 404 is an answer too: what is asked is whether the handshake succeeds. */
const isServed = (host: string): Promise<boolean> =>
  visitOver(tlsPort, pebble.root, { host, path: "/.berth/ingress" }).then(
    ({ status }) => status === 200,
    () => false,
  );

beforeAll(async () => {
  dns = await startDnsServer([zone]);
  pebble = await startPebble({ dnsAddress: dns.address, validitySeconds: 3_600 });
  const tuning = {
    heartbeatMs: 200,
    certificateLookMs: 50,
    acmeSettleMs: 0,
    gatewayWatchMs: 50,
    ingressOrderMinMs: 200,
    ingressOrderMaxMs: 201,
  };
  world = await makeWorld("process", tuning, false);
  world.peer.names = controlNames;
  tlsPort = await freePort();
  zone.set("_acme-challenge.apps.test", "CNAME", [delegatedRecord("apps.test", NODES)]);
  writeRegion(["shop.apps.test", "www.shop.test", "late.test"]);
  zone.set("_acme-challenge.www.shop.test", "CNAME", [delegatedRecord("www.shop.test", NODES)]);
  const ingress = ["--ingress", `${tlsPort},${await freePort()}`, "--ingress-host", "127.0.0.1"];
  const environment = { NODE_EXTRA_CA_CERTS: pebble.caFile };
  await world.startAgent({ args: ["--public-address", "192.0.2.1", ...ingress], environment });
});
afterAll(async () => {
  await world.close();
  await pebble.stop();
  await dns.close();
});

describe("an ingress whose certificates nobody gave", () => {
  it("has them for the platform's hostnames and a custom one before anybody comes", async () => {
    await until("the platform's", () => isServed("shop.apps.test"));
    await until("the custom hostname's", () => isServed("www.shop.test"));
    expect(asked.filter((name) => name === "*.apps.test")).toHaveLength(1);
    expect(asked).not.toContain("shop.apps.test");
  });

  it("tries one again whose challenge is not delegated, and has it once it is", async () => {
    await until("a failure", () => (stored().failed["late.test"]?.failures ?? 0) > 0);
    expect(await isServed("late.test")).toBe(false);
    zone.set("_acme-challenge.late.test", "CNAME", [delegatedRecord("late.test", NODES)]);
    await until("the late one's", () => isServed("late.test"));
    expect(stored().failed).toEqual({});
  });
});
