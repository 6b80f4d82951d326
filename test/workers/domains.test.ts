// Custom domains through the API: real routes, Postgres, Host objects and a real DNS server.
import { beforeAll, describe, expect, inject, it } from "vitest";
import type { Domain } from "../../contracts/domains.ts";
import { connect } from "../../db/connect.ts";
import { listAudit } from "../../db/queries/audit.ts";
import { sweepDomains } from "../../workers/control/domains/sweep.ts";
import { env as world, holder, records, REST_MS, Team } from "./domain-world.ts";
import { clockGoesOn, stillClock } from "./still-clock.ts";

const { adapter, alone } = inject("migrated");
// The sweep is of the whole installation: other files' domains would be looked at by it in the midst of their own looks.
const env = { ...world, DATABASE_URL_APP: alone.appUrl, DATABASE_URL_AUTH: alone.authUrl };
clockGoesOn();

/** All domains of these tests are due again after a millisecond. */
const sweepUntilDue = async (): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, 10));
  await sweepDomains(env);
};

let one: Team;
let two: Team;
beforeAll(async () => {
  one = await new Team("domain-one", env).begin("shop", "blog", "ends");
  two = await new Team("domain-two", env).begin("shop");
});

describe("adding", () => {
  it.each([
    ["192.0.2.1", "ip"],
    ["[2001:db8::1]", "ip"],
    ["localhost", "labels"],
    ["shop.example.com:443", "port"],
    ["https://shop.example.com/", "hostname"],
    ["a.*.example.com", "wildcard"],
    ["*.com", "wildcard"],
    ["sh op.example.com", "hostname"],
    ["_berth.example.com", "hostname"],
  ])("%s is refused by the rule %s, and stored nowhere", async (hostname, rule) => {
    const { status, body } = await one.ask("POST", "/v1/apps/shop/domains", { hostname });
    expect({ status, errors: body.errors }).toMatchObject({ status: 400, errors: [{ pointer: "/hostname", rule }] });
  });

  it.each([
    "shop.berth.example",
    "berth.example",
    "*.berth.example",
    "api.berth.test",
    "n1.nodes.berth.test",
    "*.berth.test",
    "edge.berth.test",
  ])("%s is the platform's own", async (hostname) => {
    const { status, body } = await one.ask("POST", "/v1/apps/shop/domains", { hostname });
    expect({ status, errors: body.errors }).toMatchObject({ status: 422, errors: [{ rule: "reserved" }] });
  });

  it("gives no app a hostname of the platform's, whatever its name, nor a custom domain for a request that names another host", async () => {
    const as = { ...env, CONTROL_ORIGIN: "https://console.berth.example", RESERVED_DOMAINS: "status.berth.example" };
    const team = await new Team("domain-takers", as).begin();
    const hostnamesOf = async (name: string): Promise<string[]> =>
      (await team.ask("POST", "/v1/apps", { name })).body.hostnames;
    expect(await hostnamesOf("console")).toEqual(["console-domain-takers.berth.example"]);
    expect(await hostnamesOf("status")).toEqual(["status-domain-takers.berth.example"]);
    expect(await hostnamesOf("takers")).toEqual(["takers.berth.example"]);
    // The API's own name is the configured one, at whatever host the request came in.
    const elsewhere = { ...as, CONTROL_ORIGIN: "https://console.elsewhere.example" };
    const own = { hostname: "console.elsewhere.example" };
    const refused = await team.ask("POST", "/v1/apps/takers/domains", own, elsewhere);
    expect({ status: refused.status, errors: refused.body.errors }).toMatchObject({
      ...{ status: 422, errors: [{ rule: "reserved" }] },
    });
  });

  it("refuses what is no request for a domain, and apps of other teams", async () => {
    for (const body of [
      {},
      { hostname: 5 },
      { hostname: "" },
      { hostname: "a.example.com", more: 1 },
      { hostname: "x".repeat(2_000) },
    ])
      expect((await one.ask("POST", "/v1/apps/shop/domains", body)).status).toBe(400);
    expect((await two.ask("POST", "/v1/apps/blog/domains", { hostname: "a.example.com" })).status).toBe(404);
  });

  it("keeps one form of it, and answers what is there when it is added again", async () => {
    const first = await one.add("shop", "BÜCHER.example.test.");
    expect(first).toMatchObject({ hostname: "xn--bcher-kva.example.test", status: "pending" });
    const again = await one.add("shop", "xn--bcher-kva.example.test");
    expect(again.instructions[0]?.value).toBe(first.instructions[0]?.value);
    expect((await one.ask("GET", "/v1/apps/shop/domains/B%C3%9CCHER.example.test")).body.hostname).toBe(first.hostname);
    const elsewhere = await one.ask("POST", "/v1/apps/blog/domains", { hostname: first.hostname });
    expect(elsewhere).toMatchObject({ status: 409, body: { code: "name_taken" } });
  });

  it("names the record for break-glass certificates where nodes order them, and sees it once it is made", async () => {
    const ingresses = { ...env, NODES_ZONE: "Nodes.Berth.test.", INGRESS_NODES: "node_01jzzzzzzze0a0000000000001" };
    const added = await one.add("shop", "away.example.test", ingresses);
    const record = { name: "_acme-challenge.away.example.test", value: "away.example.test.acme.nodes.berth.test" };
    expect(added.delegation).toMatchObject({ ...record, type: "CNAME", ok: false });
    await records(record.name, "CNAME", record.value);
    const { delegation, status } = await one.verify("shop", "away.example.test", ingresses);
    expect({ delegation, status }).toMatchObject({ delegation: { ok: true, text: "" }, status: "pending" });
    const nobody = await one.ask("GET", "/v1/apps/shop/domains/away.example.test", undefined, env);
    expect(nobody.body).not.toHaveProperty("delegation");
    expect((await one.ask("DELETE", "/v1/apps/shop/domains/away.example.test")).status).toBe(204);
  });

  it("stops at the most an app may have", async () => {
    for (const name of ["a", "b", "c", "d"]) await one.add("blog", `${name}.limit.example.test`);
    const { status, body } = await one.ask("POST", "/v1/apps/blog/domains", { hostname: "e.limit.example.test" });
    expect({ status, detail: body.detail }).toEqual({
      status: 409,
      detail: "the app has 4 domains already, which is the most it may have",
    });
    const { body: page } = await one.ask("GET", "/v1/apps/blog/domains?limit=3");
    const rest = await one.ask("GET", `/v1/apps/blog/domains?limit=3&cursor=${page.nextCursor}`);
    expect([...page.items, ...rest.body.items].map(({ hostname }: Domain) => hostname[0])).toEqual([
      "a",
      "b",
      "c",
      "d",
    ]);
    for (const name of ["a", "b", "c", "d"])
      expect((await one.ask("DELETE", `/v1/apps/blog/domains/${name}.limit.example.test`)).status).toBe(204);
  });
});

describe("one team at most", () => {
  it("both may try; the proof decides, also where both prove at once", async () => {
    const hostname = "both.example.test";
    const [a, b] = [await one.add("shop", hostname), await two.add("shop", hostname)];
    expect(a.instructions[0]?.value).not.toBe(b.instructions[0]?.value);
    await records(`_berth.${hostname}`, "TXT", a.instructions[0]?.value ?? "", b.instructions[0]?.value ?? "");
    const looks = await Promise.all([one.verify("shop", hostname), two.verify("shop", hostname)]);
    expect(looks.map(({ status }) => status).sort()).toEqual(["blocked", "proven"]);
    const winner = looks[0]?.status === "proven" ? one : two;
    expect(await holder(hostname)).toBe(winner.id);
    const loser = winner === one ? two : one;
    expect((await loser.verify("shop", hostname)).message).toContain("belongs to another team");
    expect(await holder(hostname)).toBe(winner.id);
    const audit = await listAudit(connect({ url: alone.appUrl, adapter }), winner.id as never, { limit: 50 });
    const actions = audit.ok
      ? audit.value.items.filter(({ subject }) => subject === hostname).map(({ action }) => action)
      : [];
    expect(actions).toEqual(["domain.proven", "domain.add"]);
  });

  it("who gave it up has it back at once with a fresh proof; others wait", async () => {
    const hostname = "rest.example.test";
    expect((await one.prove("shop", hostname)).status).toBe("proven");
    const taken = await two.ask("POST", "/v1/apps/shop/domains", { hostname });
    expect(taken).toMatchObject({ status: 409, body: { code: "name_taken" } });
    expect(taken.body.detail).not.toContain(one.id);
    const clock = stillClock();
    expect((await one.ask("DELETE", `/v1/apps/shop/domains/${hostname}`)).status).toBe(204);
    expect((await one.ask("DELETE", `/v1/apps/shop/domains/${hostname}`)).status).toBe(404);
    expect(await holder(hostname)).toBeNull();
    expect(await two.ask("POST", "/v1/apps/shop/domains", { hostname })).toMatchObject({
      status: 409,
      body: { code: "conflict" },
    });
    expect((await one.add("blog", hostname)).status, "the old proof proves nothing").toBe("pending");
    expect((await one.ask("DELETE", `/v1/apps/blog/domains/${hostname}`)).status).toBe(204);
    clock.pass(REST_MS + 1);
    expect((await two.prove("shop", hostname)).status).toBe("proven");
    expect(await holder(hostname)).toBe(two.id);
  });

  it("a destroyed app's domains go with it, and rest", async () => {
    const hostname = "ends.example.test";
    stillClock();
    expect((await one.prove("ends", hostname)).status).toBe("proven");
    expect((await one.ask("DELETE", "/v1/apps/ends")).status).toBe(202);
    await sweepDomains(env);
    expect(await holder(hostname)).toBeNull();
    expect((await two.ask("POST", "/v1/apps/shop/domains", { hostname })).status).toBe(409);
  });
});

describe("the sweep", () => {
  it("proves what waits, suspends what lost its proof, and brings it back with it", async () => {
    const hostname = "sweep.example.test";
    const { instructions } = await two.add("shop", hostname);
    const value = instructions[0]?.value ?? "";
    await records(`_berth.${hostname}`, "TXT", value);
    const status = async () => (await two.ask("GET", `/v1/apps/shop/domains/${hostname}`)).body.status as string;
    expect([await status(), await holder(hostname)]).toEqual(["pending", null]);
    await sweepUntilDue();
    expect([await status(), await holder(hostname)]).toEqual(["proven", two.id]);
    await records(`_berth.${hostname}`, "TXT");
    await sweepUntilDue();
    expect([await status(), await holder(hostname)]).toEqual(["failing", two.id]);
    await sweepUntilDue();
    expect([await status(), await holder(hostname)]).toEqual(["suspended", null]);
    await records(`_berth.${hostname}`, "TXT", value);
    await sweepUntilDue();
    expect([await status(), await holder(hostname)]).toEqual(["proven", two.id]);
  });

  it("decides nothing while the resolver fails, and says so", async () => {
    const hostname = "quiet.example.test";
    await two.prove("shop", hostname);
    const away = { ...env, DOH_URL: inject("outside").brokenDohUrl };
    await sweepDomains(away);
    const seen = await two.verify("shop", hostname, away);
    expect(seen.status).toBe("proven");
    expect(seen.instructions[0]?.text).toContain("the zone's name servers are silent");
    expect(await holder(hostname)).toBe(two.id);
  });

  it("tells the Host object what it could not be told before", async () => {
    const hostname = "late.example.test";
    const away = { ...env, HOST: { getByName: () => ({ claim: () => Promise.reject(new Error("away")) }) } } as never;
    expect((await one.prove("blog", hostname, away)).status).toBe("proven");
    expect(await holder(hostname)).toBeNull();
    await sweepDomains(env);
    expect(await holder(hostname)).toBe(one.id);
  });
});
