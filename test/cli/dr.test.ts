// berth dr ingress: what it prints, what it changes at a DNS provider, and what keeps it from either.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type DnsServer, startDnsServer } from "../../dev/dns/server.ts";
import { Zone } from "../../dev/dns/zone.ts";
import type { RunningIngress } from "../../node-agent/ingress/run.ts";
import { httpApp, type App } from "../node-agent/gateway/upstreams.ts";
import { endpoint, Region, release, routeOf } from "../node-agent/ingress/region.ts";
import { runBerth } from "./run-berth.ts";

const TOKEN = "dns-token-1";
let region: Region;
let ingress: RunningIngress;
let app: App;
let zone: Zone;
let dns: DnsServer;
let cwd: string;

const berth = (...args: string[]) => runBerth(["dr", "ingress", ...args], { cwd });
const at = () => ["--address", "127.0.0.1", "--plain-port", String(ingress.plainPort)];
const valuesOf = (name: string, type: string) => zone.find(name, type).records.map(({ value }) => value);

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), "berth-dr-"));
  app = await httpApp((_request, response) => void response.end("served"));
  region = await Region.start(1);
  await region.place(1, [[1, app.port]]);
  const state = { kind: "serving", releases: [release(1, 100, [endpoint(1, 1)])] } as const;
  await region.publish([
    { hostnames: ["shop.apps.test"], route: routeOf({ ...state, releases: [...state.releases] }) },
  ]);
  ingress = await region.open();
});
beforeEach(async () => {
  await dns?.close();
  zone = new Zone("apps.test");
  dns = await startDnsServer([zone], 0, TOKEN);
});
afterAll(async () => {
  await dns.close();
  await region.close();
  await app.close();
  rmSync(cwd, { recursive: true, force: true });
});

describe("berth dr ingress", () => {
  it("prints the records for the ingresses that answer, and leaves out the others with the reason", async () => {
    const { exitCode, stdout } = await berth(...at(), "--address", "127.0.0.9", "--name", "go.example.test");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/✓ 127\.0\.0\.1: region fra, 1 apps, snapshot 1/);
    expect(stdout).toMatch(/✗ 127\.0\.0\.9: ECONNREFUSED; it is left out/);
    expect(stdout).toMatch(/\*\.apps\.test +A +60 +127\.0\.0\.1/);
    expect(stdout).toMatch(/go\.example\.test +A +60 +127\.0\.0\.1/);
    expect(stdout).toContain("--dns-token");
  });

  it("makes the change with a token, and says what was there, so that it can be put back", async () => {
    zone.set("*.apps.test", "CNAME", ["edge.example.test"]);
    zone.set("other.apps.test", "A", ["192.0.2.7"]);
    const made = await berth(...at(), "--dns", "powerdns", "--dns-url", dns.apiUrl, "--dns-token", TOKEN);
    expect(made.exitCode, made.stderr).toBe(0);
    expect(made.stdout).toMatch(/the records are changed[\s\S]+\*\.apps\.test +CNAME +edge\.example\.test/);
    expect(valuesOf("shop.apps.test", "A")).toEqual(["127.0.0.1"]);
    expect(valuesOf("other.apps.test", "A")).toEqual(["192.0.2.7"]);
    const again = await runBerth(["--json", "dr", "ingress", ...at(), "--dns", "powerdns", "--dns-url", dns.apiUrl], {
      cwd,
      env: { BERTH_DNS_TOKEN: TOKEN },
    });
    expect(JSON.parse(again.stdout)).toMatchObject({ made: true, before: [{ type: "A", content: "127.0.0.1" }] });
  });

  it("changes nothing where no ingress answers, the token is refused, or the address is none", async () => {
    const away = await berth(
      "--address",
      "127.0.0.9",
      "--dns",
      "powerdns",
      "--dns-url",
      dns.apiUrl,
      "--dns-token",
      TOKEN,
    );
    expect(away).toMatchObject({ exitCode: 5 });
    expect(away.stderr).toMatch(/no ingress answers \(127\.0\.0\.9: /);
    const refused = await berth(...at(), "--dns", "powerdns", "--dns-url", dns.apiUrl, "--dns-token", "wrong");
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toMatch(/PowerDNS refused: HTTP 401/);
    expect((await berth("--address", "shop.apps.test")).exitCode).toBe(2);
    expect((await berth(...at(), "--dns", "powerdns", "--dns-token", TOKEN)).stderr).toContain("--dns-url");
    expect(zone.list()).toEqual([]);
  });

  it("replaces a record at Cloudflare by its API, not proxied, and names the permission that a token lacks", async () => {
    const calls: string[] = [];
    const cloudflare: Server = createServer((request, response) => {
      let body = "";
      request.on("data", (part: Buffer) => (body += part.toString()));
      request.on("end", () => {
        calls.push(`${request.method} ${request.url} ${body}`.trim());
        const denied = request.headers.authorization !== `Bearer ${TOKEN}`;
        const record = { id: "r1", name: "*.apps.test", type: "CNAME", content: "edge.example.test" };
        const result = request.url?.startsWith("/zones?") ? [{ id: "z1" }] : request.method === "GET" ? [record] : {};
        const errors = [{ code: 10_000, message: "Authentication error" }];
        response.writeHead(denied ? 403 : 200, { "content-type": "application/json" });
        response.end(JSON.stringify(denied ? { success: false, errors } : { success: true, errors: [], result }));
      });
    });
    await new Promise<void>((resolve) => cloudflare.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(cloudflare.address() as AddressInfo).port}`;
    const made = await berth(...at(), "--dns-url", url, "--dns-token", TOKEN);
    expect(made.exitCode, made.stderr).toBe(0);
    expect(calls).toEqual([
      "GET /zones?name=apps.test",
      "GET /zones/z1/dns_records?name=*.apps.test&per_page=100",
      "DELETE /zones/z1/dns_records/r1",
      'POST /zones/z1/dns_records {"type":"A","name":"*.apps.test","content":"127.0.0.1","ttl":60,"proxied":false}',
    ]);
    const denied = await berth(...at(), "--dns-url", url, "--dns-token", "other");
    expect(denied.stderr).toMatch(/Cloudflare refused: Authentication error \[10000\][\s\S]+Zone \/ DNS \/ Edit/);
    cloudflare.close();
  });
});
