// A node's certificate from a real ACME server by DNS-01: the real agent, its real gateway, pebble, and a zone that is looked up.
import { readFileSync, statSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import type { z } from "zod";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DnsServer, startDnsServer } from "../../../dev/dns/server.ts";
import { Zone } from "../../../dev/dns/zone.ts";
import { ChallengeRequest, NameRequest } from "../../../contracts/node-names.ts";
import { addressRecords, challengeRecord, gatewayUrlOf, nodeName } from "../../../core/names/node-name.ts";
import { makeWorld, until, type World } from "../agent/world.ts";
import { startPebble, type Pebble } from "./pebble.ts";

const ZONE = "nodes.test";
const VALIDITY_S = 20;
const LOOK_MS = 50;

const zone = new Zone(ZONE);
let dns: DnsServer;
let pebble: Pebble;
let world: World;
let name: string;
const asked: z.infer<typeof NameRequest>[] = [];
/** The provider of DNS is away for this many challenges. */
let refuseChallenges = 0;

/** The control plane's part, as workers/control/names has it. */
function controlNames(path: string, body: unknown): object {
  if (path.endsWith("/name")) {
    const { addresses, gatewayPort, serving } = NameRequest.parse(body);
    asked.push(NameRequest.parse(body));
    for (const [type, values] of Object.entries(addressRecords(addresses))) zone.set(name, type as "A", values);
    expect(typeof serving).toBe("boolean");
    return { name, gatewayUrl: gatewayUrlOf(name, gatewayPort), acme: { directoryUrl: pebble.directoryUrl } };
  }
  if (refuseChallenges > 0) {
    refuseChallenges -= 1;
    throw new Error("away");
  }
  const { value } = ChallengeRequest.parse(body);
  zone.set(challengeRecord(name), "TXT", value === null ? [] : [value]);
  return { record: challengeRecord(name) };
}

const startAgent = (addresses: readonly string[], wish: { trusting?: boolean } = {}) =>
  world.startAgent({
    args: [...addresses.flatMap((one) => ["--public-address", one]), "--acme-email", "ops@example.test"],
    environment: wish.trusting === false ? {} : { NODE_EXTRA_CA_CERTS: pebble.caFile },
  });

/** As the edge asks: by the node's name, with its certificate checked. */
function health(agent = new Agent()): Promise<{ status: number; serial: string }> {
  const at = { host: "127.0.0.1", port: world.gatewayPort, servername: name, ca: pebble.root, agent };
  return new Promise((resolve, reject) => {
    const sent = request({ ...at, path: "/.berth/health", headers: { host: name } }, (answer) => {
      const { serialNumber } = (answer.socket as TLSSocket).getPeerCertificate();
      answer.resume().on("end", () => resolve({ status: answer.statusCode ?? 0, serial: serialNumber }));
    });
    sent.on("error", reject).end();
  });
}

const beat = () => world.peer.beats.at(-1)?.request;
const condition = (kind: string) => beat()?.conditions.find((one) => one.kind === kind)?.message ?? "";
const logs = () => `${readFileSync(world.logFile, "utf8").slice(-3_000)}\n${pebble.log().slice(-2_000)}`;

beforeAll(async () => {
  dns = await startDnsServer([zone]);
  pebble = await startPebble({ dnsAddress: dns.address, validitySeconds: VALIDITY_S });
  const tuning = {
    ...{ heartbeatMs: 200, heartbeatJitterMs: 10, certificateLookMs: LOOK_MS, acmeSettleMs: 0 },
    ...{ acmeBackoffMinMs: 2_000, acmeBackoffMaxMs: 2_100, nameBackoffMinMs: 50, nameBackoffMaxMs: 100 },
    // Far from the alarm, at a quarter of so short a life: an order takes seconds on a busy machine.
    ...{ certificateRenewPercent: 30 },
  };
  world = await makeWorld("process", tuning, false);
  name = nodeName(world.peer.node, ZONE);
  world.peer.names = controlNames;
});
afterAll(async () => {
  await world.close();
  await Promise.all([pebble.stop(), dns.close()]);
});

describe("a node whose control plane gives names", () => {
  it("takes nothing on while the ACME server is one that it must not trust, and says why", async () => {
    await startAgent(["127.0.0.1"], { trusting: false });
    await until(logs, () => condition("certificate_missing").includes("tried again at"));
    expect(condition("certificate_missing")).toMatch(/has no certificate yet: .*certificate/);
    expect(beat()?.gatewayReady).toBe(false);
    await world.killAgent("SIGTERM");
  });

  it("orders its certificate over a provider of DNS that is away at first, and is ready once its gateway shows it", async () => {
    refuseChallenges = 1;
    await startAgent(["127.0.0.1"]);
    const said = () => world.peer.beats.flatMap(({ request }) => request.conditions.map(({ message }) => message));
    await until(logs, () => said().some((message) => message.includes("dns_unavailable")));
    await until(logs, () => beat()?.gatewayReady === true);
    expect(condition("certificate_missing")).toBe("");
    expect((await health()).status).toBe(200);
    expect(asked.map(({ serving }) => serving)).toEqual(expect.arrayContaining([false, true]));
    expect(asked.at(-1)).toMatchObject({ serving: true, addresses: ["127.0.0.1"], gatewayPort: world.gatewayPort });
    expect(zone.find(name, "A").records.map(({ value }) => value)).toEqual(["127.0.0.1"]);
  });

  it("leaves no challenge behind, keeps its key to itself, and tells of the certificate once", async () => {
    // It is renewed every few seconds.
    await until(logs, () => zone.find(challengeRecord(name), "TXT").records.length === 0);
    expect(statSync(join(world.dir, "tls.pem")).mode & 0o777).toBe(0o600);
    const told = world.peer.notices().filter(({ kind }) => kind === "certificate_installed");
    expect(told[0]?.message).toContain(name);
    expect(new Set(told.map(({ message, seq }) => `${seq} ${message}`)).size).toBe(told.length);
  });

  it("renews it early under requests on kept and new connections, none of which fails", async () => {
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    const before = await health(kept);
    let stop = false;
    const faults: unknown[] = [];
    const visitors = [kept, new Agent()].map(async (agent) => {
      while (!stop) {
        const seen = await health(agent).catch((error: unknown) => ({ status: 0, serial: String(error) }));
        if (seen.status !== 200) faults.push(seen);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    const expiring: string[] = [];
    await until(logs, async () => {
      if (condition("certificate_expiring") !== "") expiring.push(condition("certificate_expiring"));
      return (await health()).serial !== before.serial;
    });
    expect((await health(kept)).serial).toBe(before.serial);
    stop = true;
    await Promise.all(visitors);
    expect(faults).toEqual([]);
    expect(expiring).toEqual([]);
    kept.destroy();
  });

  it("has its records changed when it comes back at other addresses, IPv6 alone", async () => {
    await world.killAgent("SIGTERM");
    await startAgent(["2001:db8::7"]);
    await until(logs, () => zone.find(name, "AAAA").records.length > 0);
    expect(zone.find(name, "A").records).toEqual([]);
    expect(zone.find(name, "AAAA").records.map(({ value }) => value)).toEqual(["2001:db8::7"]);
  });

  it("alarms while it cannot be renewed, and takes nothing on once it has expired; then all is well again", async () => {
    await world.killAgent("SIGTERM");
    refuseChallenges = Infinity;
    await startAgent(["127.0.0.1"]);
    await until(logs, () => condition("certificate_expiring").includes("expires at"));
    expect(condition("certificate_expiring")).toMatch(/dns_unavailable.*; tried again at/);
    expect(beat()?.gatewayReady).toBe(true);
    await until(logs, () => condition("certificate_missing").includes("has expired"));
    await until(logs, () => beat()?.gatewayReady === false);
    refuseChallenges = 0;
    await until(logs, () => beat()?.gatewayReady === true && condition("certificate_expiring") === "");
    expect((await health()).status).toBe(200);
  });

  it("goes on under its name with no control plane in reach", async () => {
    await world.killAgent("SIGTERM");
    world.peer.down = 503;
    const before = asked.length;
    await startAgent(["127.0.0.1"]);
    await until(logs, async () => (await health().catch(() => null))?.status === 200);
    expect(asked.length).toBe(before);
    world.peer.down = null;
    await until(logs, () => beat()?.gatewayReady === true);
  });
});
