// Certificates of custom domains: asked for, shown, given up; their issuer is Cloudflare's contract, played.
import { beforeAll, describe, expect, inject, it } from "vitest";
import type { Domain } from "../../contracts/domains.ts";
import { Team, tell, withCertificates } from "./domain-world.ts";

const { tellUrl } = inject("outside");
let one: Team;
beforeAll(async () => {
  one = await new Team("domain-tls").begin("blog");
});
const played = async () =>
  ((await (await fetch(`${tellUrl}/cloudflare`)).json()) as Domain[]).map((each) => each.hostname);

describe("certificates", () => {
  it("are asked for once it is proven, shown with their expiry, and given up with it", async () => {
    const hostname = "tls.example.test";
    const pending = await one.prove("blog", hostname, withCertificates);
    expect(pending.certificate).toMatchObject({
      hostnameStatus: "pending",
      status: "pending_validation",
      expiresAtMs: null,
    });
    const certificates = [{ issuer: "GoogleTrustServices", expires_on: "2027-03-04T05:06:07Z" }];
    const change = { status: "active", verification_errors: [], ssl: { status: "active", certificates } };
    await tell("/cloudflare", { hostname, change });
    const active = await one.verify("blog", hostname, withCertificates);
    expect(active.certificate).toMatchObject({
      status: "active",
      expiresAtMs: Date.parse("2027-03-04T05:06:07Z"),
      errors: [],
    });
    expect(await played()).toContain(hostname);
    expect((await one.ask("DELETE", `/v1/apps/blog/domains/${hostname}`, undefined, withCertificates)).status).toBe(
      204,
    );
    expect(await played()).not.toContain(hostname);
  });

  it("of a wildcard name the TXT record that their issuer wants, and stay while the parent's hostname needs them", async () => {
    await one.prove("blog", "wild.example.test", withCertificates);
    const wild = await one.prove("blog", "*.wild.example.test", withCertificates);
    expect(wild.instructions.find(({ purpose }) => purpose === "certificate")?.text).toContain("_acme-challenge.");
    await one.ask("DELETE", "/v1/apps/blog/domains/*.wild.example.test", undefined, withCertificates);
    expect(await played()).toContain("wild.example.test");
    await one.ask("DELETE", "/v1/apps/blog/domains/wild.example.test", undefined, withCertificates);
    expect(await played()).not.toContain("wild.example.test");
  });

  it("that are refused leave the domain serving, with the reason", async () => {
    const refused = await one.prove("blog", "tls.example.com", withCertificates);
    expect(refused.status).toBe("proven");
    expect(refused.certificate?.errors).toEqual([
      expect.stringContaining("1411 Custom hostnames ending in example.com"),
    ]);
  });
});
