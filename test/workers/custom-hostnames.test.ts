// Cloudflare for SaaS as its documentation describes it: made once, read, widened for a wildcard, removed; its refusals in words.
import { expect, inject, describe, it } from "vitest";
import { cloudflareForSaas } from "../../workers/control/domains/cloudflare-for-saas.ts";
import { certificatesOf } from "../../workers/control/domains/certificates.ts";
import { controlEnv } from "./control-env.ts";

const { cloudflareUrl, tellUrl } = inject("outside");
const saas = cloudflareForSaas({ zone: "zone-1", token: "token-1", api: cloudflareUrl });
const change = (hostname: string, changed: object) =>
  fetch(`${tellUrl}/cloudflare`, { method: "POST", body: JSON.stringify({ hostname, change: changed }) });
const played = async () => (await (await fetch(`${tellUrl}/cloudflare`)).json()) as { hostname: string; ssl: object }[];

describe("a custom hostname", () => {
  it("is asked for with an HTTP-validated certificate, pending at first, and there only once", async () => {
    const made = await saas.ensure("one.example.test");
    expect(made.certificate).toMatchObject({
      hostnameStatus: "pending",
      status: "pending_validation",
      expiresAtMs: null,
      records: [],
      errors: ["custom hostname does not CNAME to this zone."],
    });
    expect((await saas.ensure("one.example.test")).id).toBe(made.id);
    expect((await played()).filter(({ hostname }) => hostname === "one.example.test")).toMatchObject([
      { ssl: { method: "http", type: "dv" } },
    ]);
  });

  it("shows the earliest expiry of its certificates once it is active", async () => {
    const { id } = await saas.ensure("two.example.test");
    const certificates = [
      { issuer: "GoogleTrustServices", expires_on: "2027-03-04T05:06:07Z", signature: "ECDSAWithSHA256" },
      { issuer: "GoogleTrustServices", expires_on: "2027-02-04T05:06:07Z", signature: "SHA256WithRSA" },
    ];
    await change("two.example.test", {
      status: "active",
      verification_errors: [],
      ssl: { status: "active", certificates, validation_records: [] },
    });
    expect((await saas.read(id))?.certificate).toMatchObject({
      hostnameStatus: "active",
      status: "active",
      issuer: "GoogleTrustServices",
      expiresAtMs: Date.parse("2027-02-04T05:06:07Z"),
      errors: [],
    });
  });

  it("of a wildcard is its parent with a wider certificate, validated by TXT; one that is there is widened", async () => {
    const wide = await saas.ensure("*.wide.example.test");
    expect(wide.certificate.records).toEqual([
      { name: "_acme-challenge.app.example.com", value: "810b7d5f01154524b961ba0cd578acc2" },
    ]);
    const narrow = await saas.ensure("later.example.test");
    expect((await saas.ensure("*.later.example.test")).id).toBe(narrow.id);
    expect(await played()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          hostname: "wide.example.test",
          ssl: expect.objectContaining({ wildcard: true, method: "txt" }),
        }),
        expect.objectContaining({
          hostname: "later.example.test",
          ssl: expect.objectContaining({ wildcard: true, method: "txt" }),
        }),
      ]),
    );
  });

  it("is not taken for another whose name it is a part of", async () => {
    await saas.ensure("part.example.test");
    const longer = await saas.ensure("a.part.example.test");
    expect((await saas.ensure("part.example.test")).id).not.toBe(longer.id);
  });

  it("is removed, also twice, and then there is none to read", async () => {
    const { id } = await saas.ensure("gone.example.test");
    await saas.remove(id);
    await saas.remove(id);
    expect(await saas.read(id)).toBeNull();
  });

  it("that is refused says why, without the token", async () => {
    await expect(saas.ensure("refused.example.com")).rejects.toThrow(
      "Cloudflare refused to create the custom hostname: 1411 Custom hostnames ending in example.com, example.net, or example.org are prohibited.",
    );
    const stranger = cloudflareForSaas({ zone: "zone-1", token: "wrong-token", api: cloudflareUrl });
    await expect(stranger.read("x")).rejects.toThrow(/^Cloudflare refused to read .*9109 Invalid access token$/);
    await expect(stranger.remove("x")).rejects.not.toThrow("wrong-token");
  });
});

describe("an installation without a zone or a token", () => {
  it("has no certificates to care for", () => {
    expect(certificatesOf(controlEnv)).toBeNull();
    expect(certificatesOf({ ...controlEnv, CLOUDFLARE_ZONE_ID: "z" })).toBeNull();
    expect(certificatesOf({ ...controlEnv, CLOUDFLARE_ZONE_ID: "z", CLOUDFLARE_API_TOKEN: "t" })).not.toBeNull();
  });
});
