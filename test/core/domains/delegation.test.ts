// The record for break-glass certificates: what it must be, whether it is seen, and where it cannot be.
import { describe, expect, it } from "vitest";
import type { DomainCertificate, Findings, Lookup } from "../../../contracts/domains.ts";
import { delegationOf } from "../../../core/domains/delegation.ts";

const ZONE = "nodes.example.net";
const absent: Lookup = { kind: "absent", zone: "example.com", ttlSeconds: 300 };
const seen = (delegation?: Lookup): Findings => ({
  ...{ proof: absent, doubled: null, pointer: absent, addresses: null, targetAddresses: null, atMs: 1 },
  ...(delegation === undefined ? {} : { delegation }),
});
const leading = (to: string): Findings => seen({ kind: "records", records: [to], ttlSeconds: 60 });

describe("the delegation of a hostname's challenges", () => {
  it("is a CNAME into the nodes' zone, optional, with what it is for", () => {
    expect(delegationOf("www.shop.example", ZONE, seen(absent), null)).toEqual({
      ...{ type: "CNAME", name: "_acme-challenge.www.shop.example", value: `www.shop.example.acme.${ZONE}` },
      ...{ ok: false, found: [] },
      text: expect.stringMatching(
        /^Optional: .* when the edge is away.* Create CNAME _acme-challenge\.www\.shop\.example/,
      ),
    });
  });

  it("of a wildcard is that of the name it stands below", () => {
    const { name, value } = delegationOf("*.shop.example", ZONE, null, null);
    expect([name, value]).toEqual(["_acme-challenge.shop.example", `shop.example.acme.${ZONE}`]);
  });

  it("is seen where it leads there, also over another alias", () => {
    const value = `www.shop.example.acme.${ZONE}`;
    expect(delegationOf("www.shop.example", ZONE, leading(value), null)).toMatchObject({ ok: true, text: "" });
    const over = seen({ kind: "records", records: ["challenges.shop.example", value], ttlSeconds: 60 });
    expect(delegationOf("www.shop.example", ZONE, over, null).ok).toBe(true);
  });

  it("says where it leads instead, and that nobody could say", () => {
    const elsewhere = delegationOf("www.shop.example", ZONE, leading("old.example"), null);
    expect(elsewhere).toMatchObject({ ok: false, found: ["old.example"] });
    expect(elsewhere.text).toContain("It leads to old.example now.");
    const failed = seen({ kind: "failed", message: "the zone's name servers are silent" });
    expect(delegationOf("www.shop.example", ZONE, failed, null).text).toContain("the zone's name servers are silent");
  });

  it("is called impossible where the edge's certificate needs TXT records at that name", () => {
    const certificate: DomainCertificate = {
      ...{ hostnameStatus: "pending", status: "pending_validation", issuer: null, expiresAtMs: null, errors: [] },
      ...{ records: [{ name: "_acme-challenge.shop.example", value: "x" }], checkedAtMs: 0 },
    };
    expect(delegationOf("*.shop.example", ZONE, seen(absent), certificate).text).toMatch(/^Not possible while/);
    expect(delegationOf("www.shop.example", ZONE, seen(absent), certificate).text).toMatch(/^Optional/);
  });
});
