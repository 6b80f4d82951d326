// Nodes' names: records at Cloudflare (its contract, played) and on PowerDNS, made, changed and removed; challenges for their own names only.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { AGENT_PROTOCOL, CREDENTIAL_SCHEME, PROOF_HEADER } from "../../contracts/agent-protocol.ts";
import { type NameResponse } from "../../contracts/node-names.ts";
import { challengeRecord, nodeName } from "../../core/names/node-name.ts";
import { markNodeRevoked, recordNode } from "../../db/queries/nodes.ts";
import { app } from "../../workers/control/app.ts";
import type { ControlEnv } from "../../workers/control/env.ts";
import { databaseOf } from "../../workers/control/http/database.ts";
import { forgetNames } from "../../workers/control/names/forget-name.ts";
import { heartbeat, makeNode, type TestNode } from "./agent-node.ts";
import { env as plain } from "./domain-world.ts";

const outside = inject("outside");
const ACME = "https://acme.test/dir";
const atPowerDns: ControlEnv = {
  ...plain,
  NODES_ZONE: "nodes.test",
  POWERDNS_URL: outside.powerDnsUrl,
  POWERDNS_API_KEY: "dns-key",
  ACME_DIRECTORY: ACME,
};
const atCloudflare: ControlEnv = {
  ...plain,
  NODES_ZONE: "Nodes.Example.",
  NODES_ZONE_ID: "nodes-1",
  NODES_DNS_TOKEN: "nodes-token",
  CLOUDFLARE_API_URL: outside.dnsRecordsUrl,
};
const VALUE = "a".repeat(43);

async function join(): Promise<TestNode> {
  const node = await makeNode();
  const { cell, keys } = node;
  const row = { id: node.node, name: `n-${node.node.slice(-8)}`, cell, jkt: keys.jkt, failureDomain: "rack-a" };
  await recordNode(databaseOf(plain), { ...row, region: "local" as never, enrolledBy: "user:test" });
  return node;
}

interface Said<Body> {
  readonly status: number;
  readonly body: Body & { detail?: string; code?: string };
  readonly retryAfter: string | null;
}

async function ask<Body = NameResponse>(
  node: TestNode,
  path: string,
  more: object,
  as: ControlEnv,
): Promise<Said<Body>> {
  const text = JSON.stringify({ protocol: AGENT_PROTOCOL, ...more });
  const headers = {
    "content-type": "application/json",
    authorization: `${CREDENTIAL_SCHEME} ${node.credential}`,
    [PROOF_HEADER]: await node.prove("POST", path, text, "ask"),
  };
  const context = createExecutionContext();
  const answer = await app.fetch(new Request(`https://control.test${path}`, { method: "POST", headers, body: text }), as, context); // prettier-ignore
  await waitOnExecutionContext(context);
  return { status: answer.status, body: await answer.json(), retryAfter: answer.headers.get("retry-after") };
}

const name = (node: TestNode, more: object = {}, as = atPowerDns) =>
  ask(node, "/agent/v1/name", { addresses: ["192.0.2.7"], gatewayPort: 7070, serving: false, ...more }, as);
const challenge = (node: TestNode, value: string | null, as = atPowerDns) =>
  ask<{ record: string }>(node, "/agent/v1/acme-challenge", { value }, as);
const zone = async (of: string, type: string) =>
  (await (await fetch(`${outside.tellUrl}/zone?name=${of}&type=${type}`)).json()) as string[];
const played = async () =>
  (await (await fetch(`${outside.tellUrl}/dns-records`)).json()) as {
    records: { name: string; type: string; content: string; ttl: number; proxied: boolean }[];
    requests: number;
  };
const limit = (limited: boolean) =>
  fetch(`${outside.tellUrl}/dns-records`, { method: "POST", body: JSON.stringify({ limited }) });
const gatewayUrl = async (node: TestNode) => {
  const seen = await plain.CELL.getByName(node.cell).readNode({ node: node.node });
  return seen.ok ? seen.value.gatewayUrl : seen.failure.code;
};

describe("a node that asks for its name", () => {
  let node: TestNode;
  let own: string;
  beforeAll(async () => {
    node = await join();
    own = nodeName(node.node, "nodes.test");
  });

  it("hears that there is none where the installation has no zone for nodes", async () => {
    expect((await name(node, {}, plain)).body).toMatchObject({ name: null, acme: null });
  });

  it("gets its records, its name and where to get a certificate, and is reached as before until it serves", async () => {
    const before = await gatewayUrl(node);
    const { status, body } = await name(node, { addresses: ["192.0.2.7", "2001:DB8::7", "192.0.2.7"] });
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body).toMatchObject({ name: own, gatewayUrl: `https://${own}:7070`, acme: { directoryUrl: ACME } });
    expect(own).toMatch(/^n-[0-9a-z]{26}\.nodes\.test$/);
    expect(await zone(own, "A")).toEqual(["192.0.2.7"]);
    expect(await zone(own, "AAAA")).toEqual(["2001:db8::7"]);
    expect(await gatewayUrl(node)).toBe(before);
  });

  it("is reached under it once it serves, and what it has at another address follows", async () => {
    await name(node, { serving: true, gatewayPort: 443 });
    expect(await gatewayUrl(node)).toBe(`https://${own}`);
    expect(await zone(own, "AAAA")).toEqual([]);
    await name(node, { serving: true, addresses: ["2001:db8::8"] });
    expect(await zone(own, "A")).toEqual([]);
    expect(await zone(own, "AAAA")).toEqual(["2001:db8::8"]);
    expect(await gatewayUrl(node)).toBe(`https://${own}:7070`);
  });

  it.each([
    ["no address", { addresses: [] }],
    ["a name for an address", { addresses: ["host.example"] }],
    ["a port that is none", { gatewayPort: 0 }],
  ])("with %s is told what is wrong", async (_what, wrong) => {
    expect((await name(node, wrong)).status).toBe(400);
  });

  it("has the TXT record of its own name set and removed, and of no other", async () => {
    const record = challengeRecord(own);
    expect((await challenge(node, VALUE)).body.record).toBe(record);
    expect(await zone(record, "TXT")).toEqual([VALUE]);
    await challenge(node, null);
    expect(await zone(record, "TXT")).toEqual([]);
    for (const value of ['x" "y', "short", `${VALUE}a`]) expect((await challenge(node, value)).status).toBe(400);
    const other = await join();
    expect((await challenge(other, VALUE)).body.record).not.toBe(record);
    expect(await zone(record, "TXT")).toEqual([]);
  });

  it("that was removed is refused, and its records go with the next sweep, however often that was in vain", async () => {
    await name(node, { serving: true });
    await challenge(node, VALUE);
    await plain.CELL.getByName(node.cell).revoke({ node: node.node, actor: "user:test" });
    await markNodeRevoked(databaseOf(plain), { node: node.node, action: "node.revoke", actor: "user:test", requestId: "r-1" }); // prettier-ignore
    expect((await name(node)).body.code).toBe("node_revoked");
    expect((await challenge(node, VALUE)).body.code).toBe("node_revoked");
    await forgetNames({ ...atPowerDns, POWERDNS_API_KEY: "another" });
    expect(await zone(own, "A")).not.toEqual([]);
    await forgetNames(atPowerDns);
    expect([await zone(own, "A"), await zone(own, "AAAA"), await zone(challengeRecord(own), "TXT")]).toEqual([[], [], []]); // prettier-ignore
  });
});

describe("a zone at Cloudflare", () => {
  it("gets records of the node's own address, not proxied, in place of older ones", async () => {
    const node = await join();
    const own = nodeName(node.node, "nodes.example");
    const mine = async () => (await played()).records.filter((record) => record.name.endsWith(own));
    expect((await name(node, { addresses: ["192.0.2.1", "192.0.2.2"] }, atCloudflare)).body.name).toBe(own);
    await name(node, { addresses: ["192.0.2.2", "2001:db8::2"] }, atCloudflare);
    expect(await mine()).toEqual([
      expect.objectContaining({ name: own, type: "A", content: "192.0.2.2", ttl: 60, proxied: false }),
      expect.objectContaining({ name: own, type: "AAAA", content: "2001:db8::2" }),
    ]);
    await challenge(node, VALUE, atCloudflare);
    await challenge(node, VALUE, atCloudflare);
    expect((await mine()).filter(({ type }) => type === "TXT").map(({ content }) => content)).toEqual([`"${VALUE}"`]);
    await challenge(node, null, atCloudflare);
    expect((await mine()).some(({ type }) => type === "TXT")).toBe(false);
  });

  it("is not asked again for what it says already: a fleet may start at once", async () => {
    const node = await join();
    await name(node, {}, atCloudflare);
    const { requests } = await played();
    for (let times = 0; times < 3; times += 1) expect((await name(node, {}, atCloudflare)).status).toBe(200);
    expect((await played()).requests).toBe(requests);
  });

  it("that refuses the token is a failure that names the permission, and that limits says when to come back", async () => {
    const node = await join();
    const refused = await name(node, {}, { ...atCloudflare, NODES_DNS_TOKEN: "another" });
    expect(refused).toMatchObject({ status: 503, body: { code: "dns_unavailable" } });
    expect(refused.body.detail).toMatch(/10000 Authentication error.*Zone \/ DNS \/ Edit/);
    await limit(true);
    const limited = await name(node, {}, atCloudflare);
    await limit(false);
    expect(limited).toMatchObject({ status: 503, retryAfter: "17" });
    expect((await name(node, {}, atCloudflare)).status).toBe(200);
  });

  it("that nobody named is a failure that says what to set, and one that is away says so; heartbeats go on", async () => {
    const node = await join();
    const { NODES_ZONE_ID: _, ...without } = atCloudflare;
    expect((await name(node, {}, without)).body.detail).toContain("NODES_ZONE_ID");
    const away = await name(node, {}, { ...atCloudflare, CLOUDFLARE_API_URL: "http://127.0.0.1:9" });
    expect(away.body.detail).toContain("cannot be reached");
    expect((await node.call("POST", "/agent/v1/heartbeat", heartbeat(), "heartbeat")).status).toBe(200);
  });
});

describe("an ingress that asks for the challenge of an app's hostname", () => {
  let node: TestNode;
  const named = (...nodes: TestNode[]): ControlEnv => ({
    ...atPowerDns,
    INGRESS_NODES: nodes.map((one) => one.node).join(", "),
  });
  const ingress = (hostname: string, as: ControlEnv, value: string | null = VALUE) =>
    ask<{ record: string }>(node, "/agent/v1/acme-challenge", { value, hostname }, as);
  beforeAll(async () => void (node = await join()));

  it("may, where an operator named it, for the platform's hostnames and for custom ones that an app holds", async () => {
    const all = named(await join(), node);
    const set = await ingress("*.berth.example", all);
    expect(set).toMatchObject({ status: 200, body: { record: "berth.example.acme.nodes.test" } });
    expect(await zone("berth.example.acme.nodes.test", "TXT")).toEqual([VALUE]);
    await ingress("*.berth.example", all, null);
    expect(await zone("berth.example.acme.nodes.test", "TXT")).toEqual([]);
    expect(await ingress("www.nobodys.example", all)).toMatchObject({ status: 404 });
  });

  it("may not where nobody named it, nor for what is no hostname", async () => {
    const refused = await ingress("*.berth.example", atPowerDns);
    expect(refused).toMatchObject({ status: 403, body: { code: "forbidden" } });
    expect(refused.body.detail).toContain("INGRESS_NODES");
    expect((await ingress("*.berth.example", named(await join()))).status).toBe(403);
    expect((await ingress("a b", named(node))).status).toBe(400);
  });
});
