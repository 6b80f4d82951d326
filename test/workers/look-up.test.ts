// Looking a domain up over HTTPS: aliases, addresses at a zone's top, long texts, the slips of DNS forms, and resolvers that fail.
import { describe, expect, inject, it } from "vitest";
import { pointingOf, proofIn } from "../../core/domains/judge.ts";
import { dnsOverHttps } from "../../workers/control/domains/doh.ts";
import { lookUp } from "../../workers/control/domains/look-up.ts";
import { records } from "./domain-world.ts";

const { dohUrl, brokenDohUrl, tellUrl } = inject("outside");
const dns = dnsOverHttps(dohUrl);
const token = "0123456789abcdef";
const target = "app.example.com";
const look = (hostname: string, delegated = false) => lookUp(dns, { hostname, token, target, delegated }, 7);

describe("a question", () => {
  it("is answered with the aliases on the way, in order and in lower case", async () => {
    await records("a.chain.example.test", "CNAME", "b.chain.example.test");
    await records("b.chain.example.test", "CNAME", "c.chain.example.test");
    await records("c.chain.example.test", "A", "192.0.2.1", "192.0.2.2");
    expect(await dns.ask("A.Chain.Example.TEST", "A")).toEqual({
      kind: "answered",
      records: ["192.0.2.1", "192.0.2.2"],
      aliases: ["b.chain.example.test", "c.chain.example.test"],
      zone: null,
      ttlSeconds: 300,
    });
  });

  it("ends where aliases go round in a circle", async () => {
    await records("x.circle.example.test", "CNAME", "y.circle.example.test");
    await records("y.circle.example.test", "CNAME", "x.circle.example.test");
    const aliases = ["y.circle.example.test", "x.circle.example.test"];
    expect(await dns.ask("x.circle.example.test", "A")).toMatchObject({ aliases, records: [] });
  });

  it("puts the pieces of a long text together", async () => {
    const long = "x".repeat(700);
    await records("long.example.test", "TXT", long);
    expect(await dns.ask("long.example.test", "TXT")).toMatchObject({ records: [long] });
  });

  it("names the zone, and for how long its absence is remembered", async () => {
    expect(await dns.ask("no.such.example.test", "TXT")).toEqual({
      kind: "answered",
      records: [],
      aliases: [],
      zone: "example.test",
      ttlSeconds: 300,
    });
    await records("only.example.test", "A", "192.0.2.1");
    expect(await dns.ask("only.example.test", "TXT")).toMatchObject({ kind: "answered", records: [] });
  });

  it.each([
    ["nobody there", "http://127.0.0.1:9/dns-query", /our resolver could not be reached/],
    [
      "no such path of a server that speaks something else",
      `${tellUrl}/nothing`,
      /our resolver is out of order \(it answered /,
    ],
  ])("to a resolver with %s fails, and proves nothing", async (_, url, message) => {
    const answer = await dnsOverHttps(url).ask("a.example.test", "TXT");
    expect(answer).toMatchObject({ kind: "failed", message: expect.stringMatching(message) });
  });

  it("that the resolver cannot answer fails in words, with its code", async () => {
    const answer = await dnsOverHttps(brokenDohUrl).ask("a.example.test", "TXT");
    expect(answer).toEqual({
      kind: "failed",
      message: expect.stringMatching(/name servers are silent .*\(SERVFAIL\)$/),
    });
  });
});

describe("a domain", () => {
  it("is seen with its proof among other texts, and its alias", async () => {
    await records("_berth.seen.example.test", "TXT", "v=spf1 -all", `berth-verify=${token}`);
    await records("seen.example.test", "CNAME", target);
    const findings = await look("seen.example.test");
    expect([proofIn(findings, token), pointingOf(findings, target), findings.atMs]).toEqual(["there", "here", 7]);
  });

  it("at its zone's top is recognised by the target's addresses", async () => {
    await records(target, "A", "192.0.2.10", "192.0.2.11");
    await records("example.test", "A", "192.0.2.11");
    expect(pointingOf(await look("example.test"), target)).toBe("here");
    await records("example.test", "A", "192.0.2.11", "192.0.2.99");
    expect(pointingOf(await look("example.test"), target)).toBe("elsewhere");
    await records("example.test", "A");
  });

  it("with an IPv6 address of somebody else beside ours does not lead here", async () => {
    await records("six.example.test", "A", "192.0.2.11");
    await records("six.example.test", "AAAA", "2001:db8::99");
    expect(pointingOf(await look("six.example.test"), target)).toBe("elsewhere");
  });

  it("whose proof has the zone behind it twice is found there", async () => {
    await records("_berth.twice.example.test.example.test", "TXT", `berth-verify=${token}`);
    expect(await look("twice.example.test")).toMatchObject({
      proof: { kind: "absent", zone: "example.test" },
      doubled: "_berth.twice.example.test.example.test",
    });
  });

  it("that is a wildcard is looked at through a label of its own", async () => {
    await records("*.any.example.test", "CNAME", target);
    expect(pointingOf(await look("*.any.example.test"), target)).toBe("here");
    expect(pointingOf(await look("any.example.test"), target)).toBe("nowhere");
  });

  it("is asked for the delegation of its challenges where ingresses would use it, and only there", async () => {
    await records("_acme-challenge.away.example.test", "CNAME", "away.example.test.acme.nodes.test");
    expect((await look("away.example.test", true)).delegation).toMatchObject({
      kind: "records",
      records: ["away.example.test.acme.nodes.test"],
    });
    expect((await look("other.example.test", true)).delegation).toMatchObject({ kind: "absent" });
    expect(await look("away.example.test")).not.toHaveProperty("delegation");
  });
});
