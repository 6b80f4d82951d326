// A custom domain in the whole stack: added over a wrong record, explained, proven, served, removed, and kept from other teams.
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startDnsServer, type DnsServer } from "../../dev/dns/server.ts";
import { Zone } from "../../dev/dns/zone.ts";
import { createWorld, eventually, serving, SMALL, versionServer, writeApp, type World } from "./support.ts";
import { signUpBy } from "./letters.ts";

const REST_MS = 3_600_000;
const zone = new Zone("example.test", { negativeTtlSeconds: 120 });
let dns: DnsServer;
let world: World;
let other: { token: string };

beforeAll(async () => {
  dns = await startDnsServer([zone]);
  const tuning = { drainMs: 4_000, drainMinMs: 1_000, domainRestMs: REST_MS, domainSuspendMs: 1 };
  world = await createWorld({ agents: 1, vars: { control: { DOH_URL: dns.url, TUNING: JSON.stringify(tuning) } } });
  const folder = writeApp(world.home, "shop", { "server.mjs": versionServer("shop") }, SMALL);
  const deployed = await world.berth(["deploy", folder]);
  expect(deployed.exitCode, deployed.stderr).toBe(0);
  await serving(world, "shop", "shop");
  other = { token: await signUpBy(world, "other@example.com", "correct horse battery") };
  const made = await asOther("POST", "/v1/apps", { name: "rival" });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
});
afterAll(async () => {
  await world?.end();
  await dns?.close();
});

const asOther = (method: string, path: string, body?: unknown) =>
  world.api(method, path, body, { authorization: `Bearer ${other.token}` });
const berth = (...args: string[]) => world.berth(["domains", ...args, "--app", "shop"]);

interface Shown {
  status: string;
  instructions: { purpose: string; name: string; value: string; found: string[]; text: string; ok: boolean }[];
}
const shown = async (...args: string[]): Promise<Shown> => JSON.parse((await berth(...args, "--json")).stdout) as Shown;

/** Through the edge, with that Host. */
function visit(host: string): Promise<{ status: number; text: string | undefined }> {
  return new Promise((resolve, reject) => {
    const to = { host: "127.0.0.1", port: world.stack.edgePort, headers: { host }, agent: false as const };
    const sent = request(to, (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode ?? 0, text: answer.headers["x-app-text"] as string | undefined });
    });
    sent.on("error", reject).end();
  });
}

describe("a custom domain", () => {
  it("goes from add over a wrong record to serving; removed, it rests for other teams and not for its own", async () => {
    const host = "www.example.test";
    const added = await berth("add", "WWW.Example.TEST.");
    expect(added.exitCode, added.stdout + added.stderr).toBe(0);
    expect(added.stdout).toMatch(/TXT +_berth\.www\.example\.test +berth-verify=[0-9a-f]{40}/);
    expect(added.stdout).toMatch(/CNAME +www\.example\.test +shop\.localhost/);
    expect(added.stdout).toContain("Resolvers may remember what they saw for 2 min.");
    expect(await visit(host)).toMatchObject({ status: 404 });
    const proof = (await shown("show", host)).instructions[0];
    if (proof === undefined) throw new Error("no instructions");

    zone.set("_berth.www.example.test", "TXT", ["berth-verify=of-yesterday"], 60);
    zone.set("www.example.test", "CNAME", ["old.example.test"], 90);
    const wrong = await berth("verify", host);
    expect(wrong.exitCode).toBe(1);
    expect(wrong.stdout).toContain(
      `TXT _berth.www.example.test is berth-verify=of-yesterday, and ${proof.value} is not among them.`,
    );
    expect(wrong.stdout).toContain("Resolvers may remember what they saw for 60 s.");
    expect(wrong.stdout).toContain("www.example.test leads to old.example.test instead of shop.localhost.");
    expect(await visit(host)).toMatchObject({ status: 404 });

    zone.set("_berth.www.example.test", "TXT", ["berth-verify=of-yesterday", proof.value], 60);
    const proven = await berth("verify", host);
    expect(proven.exitCode, proven.stdout + proven.stderr).toBe(0);
    expect((await shown("show", host)).status).toBe("proven");
    expect(
      await eventually(
        () => visit(host),
        ({ status }) => status === 200,
      ),
    ).toEqual({ status: 200, text: "shop" });

    zone.set("www.example.test", "CNAME", ["shop.localhost"], 90);
    const active = await berth("verify", host, "--wait", "60s");
    expect(active.exitCode, active.stdout + active.stderr).toBe(0);
    expect((await berth("ls")).stdout).toMatch(/www\.example\.test +active +✓ +✓/);
    const taken = await asOther("POST", "/v1/apps/rival/domains", { hostname: host });
    expect(taken).toMatchObject({ status: 409, body: { code: "name_taken" } });

    expect((await berth("rm", host)).exitCode).toBe(0);
    await eventually(
      () => visit(host),
      ({ status }) => status === 404,
      { withinMs: 120_000, everyMs: 1_000 },
    );
    const resting = await asOther("POST", "/v1/apps/rival/domains", { hostname: host });
    expect(resting).toMatchObject({ status: 409, body: { code: "conflict" } });
    expect(resting.body.detail).toContain("it rests until 20");

    const again = await shown("add", host);
    expect(again.status, "the old proof is no proof any more").toBe("pending");
    zone.set("_berth.www.example.test", "TXT", [again.instructions[0]?.value ?? ""], 60);
    expect((await berth("verify", host)).exitCode).toBe(0);
    await eventually(
      () => visit(host),
      ({ status }) => status === 200,
      { withinMs: 120_000, everyMs: 1_000 },
    );
  }, 400_000);

  it("may be a wildcard: the exact hostname wins over it", async () => {
    const { instructions } = await shown("add", "*.wild.example.test");
    zone.set("_berth.wild.example.test", "TXT", [instructions[0]?.value ?? ""]);
    zone.set("*.wild.example.test", "CNAME", ["shop.localhost"]);
    expect((await shown("verify", "*.wild.example.test")).status).toBe("active");
    expect(
      await eventually(
        () => visit("any.wild.example.test"),
        ({ status }) => status === 200,
      ),
    ).toMatchObject({
      text: "shop",
    });
    expect(await visit("a.b.wild.example.test")).toMatchObject({ status: 404 });
    expect(await visit("wild.example.test")).toMatchObject({ status: 404 });
    const exact = (await asOther("POST", "/v1/apps/rival/domains", { hostname: "own.wild.example.test" }))
      .body as Shown;
    zone.set("_berth.own.wild.example.test", "TXT", [exact.instructions[0]?.value ?? ""]);
    const verified = await asOther("POST", "/v1/apps/rival/domains/own.wild.example.test/verify");
    expect(verified.body.status).toBe("proven");
    // The other team's app was never deployed.
    await eventually(
      () => visit("own.wild.example.test"),
      ({ status }) => status === 503,
    );
  });

  it("whose proof vanished is shown as failing, then suspended; name servers that are away decide nothing", async () => {
    const host = "gone.example.test";
    const { instructions } = await shown("add", host);
    zone.set(`_berth.${host}`, "TXT", [instructions[0]?.value ?? ""]);
    expect((await berth("verify", host)).exitCode).toBe(0);
    zone.set(`_berth.${host}`, "TXT", []);
    expect((await shown("verify", host)).status).toBe("failing");
    expect((await shown("verify", host)).status).toBe("suspended");
    dns.setMode("broken");
    const unknown = await shown("verify", host);
    dns.setMode("answering");
    expect(unknown.instructions[0]?.text).toContain("SERVFAIL");
  });
});
