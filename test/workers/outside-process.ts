// What of the internet the tests in workerd ask: a DNS resolver, PowerDNS, and Cloudflare's API for custom hostnames and DNS records;
// told what to say over HTTP.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { startDnsServer } from "../../dev/dns/server.ts";
import { Zone, type ZoneRecord } from "../../dev/dns/zone.ts";
import { startDnsRecords } from "./dns-records-server.ts";
import { startScanner } from "./scanner-server.ts";
import { startOpenId } from "./openid-server.ts";
import { startCustomHostnames } from "./custom-hostnames-server.ts";

export interface Outside {
  readonly dohUrl: string;
  /** Of a resolver that answers every question with SERVFAIL. */
  readonly brokenDohUrl: string;
  readonly cloudflareUrl: string;
  /** Of zone nodes-1, with the token nodes-token. */
  readonly dnsRecordsUrl: string;
  /** Of the zone nodes.test, with the key dns-key. */
  readonly powerDnsUrl: string;
  /** A scanner of images, which judges by an image's name; see scanner-server.ts. */
  readonly scannerUrl: string;
  /** POST /records {name, type, values}, /cloudflare {hostname, ssl}, /dns-records {limited}; GET /cloudflare, /dns-records, /zone?name=&type=, /redirect?to=&status=, /echo. */
  readonly tellUrl: string;
  /** Of an OpenID provider, and of what stands in for GitHub. */
  readonly issuer: string;
  readonly githubUrl: string;
}

const disconnected = once(process, "disconnect");
const zones = [new Zone("example.test"), new Zone("example.com"), new Zone("nodes.test")];
const dns = await startDnsServer(zones, 0, "dns-key");
// Another one: test files run side by side, and what one breaks is broken for all.
const broken = await startDnsServer([]);
broken.setMode("broken");
const dnsRecords = await startDnsRecords({ zone: "nodes-1", token: "nodes-token" });
const scanner = await startScanner();
const openId = await startOpenId();
const cloudflare = await startCustomHostnames({ zone: "zone-1", token: "token-1" });

type Told = { name: string; type: ZoneRecord["type"]; values: string[] } & {
  hostname: string;
  change: Record<string, unknown>;
} & { limited: boolean };

/** What a guarded fetch is sent to: somewhere else, or told what it sent. */
function fetched(request: IncomingMessage, response: ServerResponse): boolean {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://tell");
  if (pathname === "/redirect") {
    const location = searchParams.get("to") ?? "";
    response.writeHead(Number(searchParams.get("status") ?? 302), { location }).end();
  } else if (pathname === "/echo") response.end(JSON.stringify({ method: request.method, headers: request.headers }));
  else return false;
  return true;
}

const teller = createServer((request, response) => {
  if (fetched(request, response)) return;
  void (async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const told = (chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString())) as Told;
    if (request.url === "/records") zones.find((zone) => zone.has(told.name))?.set(told.name, told.type, told.values);
    if (request.url === "/cloudflare" && request.method === "POST") cloudflare.change(told.hostname, told.change);
    const url = new URL(request.url ?? "/", "http://tell");
    if (url.pathname === "/zone") {
      const [name, type] = [url.searchParams.get("name") ?? "", url.searchParams.get("type") ?? ""] as const;
      const found = zones.find((zone) => zone.has(name))?.find(name, type).records ?? [];
      return response.end(JSON.stringify(found.map(({ value }) => value)));
    }
    if (url.pathname === "/dns-records") {
      if (request.method === "POST") dnsRecords.setLimited(told.limited);
      return response.end(JSON.stringify({ records: dnsRecords.records(), requests: dnsRecords.requests() }));
    }
    return response.end(JSON.stringify(cloudflare.hostnames()));
  })().catch(() => response.writeHead(400).end());
});
teller.listen(0, "127.0.0.1");
await once(teller, "listening");
const ready: Outside = {
  issuer: openId.issuer,
  githubUrl: openId.githubUrl,
  dohUrl: dns.url,
  brokenDohUrl: broken.url,
  cloudflareUrl: cloudflare.url,
  dnsRecordsUrl: dnsRecords.url,
  powerDnsUrl: dns.apiUrl,
  scannerUrl: scanner.url,
  tellUrl: `http://127.0.0.1:${(teller.address() as AddressInfo).port}`,
};
process.send?.(ready);
await disconnected;
teller.close();
teller.closeAllConnections();
const others = [dns, broken, cloudflare, dnsRecords, scanner, openId];
await Promise.all(others.map((other) => other.close()));
