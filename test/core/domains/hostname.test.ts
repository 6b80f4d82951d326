// Hostnames as people write them: the one form in which each is kept, or the reason why it can be no custom domain.
import { describe, expect, it } from "vitest";
import { pointerName, proofName, readHostname, reservedBy, wildcardAbove } from "../../../core/domains/hostname.ts";

describe("a hostname", () => {
  it.each([
    ["shop.example.com", "shop.example.com"],
    ["Shop.EXAMPLE.com", "shop.example.com"],
    ["shop.example.com.", "shop.example.com"],
    ["  shop.example.com\n", "shop.example.com"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["BÜCHER.example", "xn--bcher-kva.example"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["faß.example", "xn--fa-hia.example"],
    ["例え。テスト", "xn--r8jz45g.xn--zckzah"],
    ["*.example.com", "*.example.com"],
    ["*.BÜCHER.example.", "*.xn--bcher-kva.example"],
    ["1and1.com", "1and1.com"],
    ["v--shop.example.com", "v--shop.example.com"],
    ["v0--shop.example.com", "v0--shop.example.com"],
    ["a.b-c.d0", "a.b-c.d0"],
    [`${"a".repeat(63)}.example`, `${"a".repeat(63)}.example`],
  ])("%j is kept as %j", (written, hostname) => {
    expect(readHostname(written)).toEqual({ kind: "hostname", hostname });
  });

  it.each([
    ["192.0.2.1", "ip"],
    ["192.0.2.1.", "ip"],
    ["192.0.2.1:80", "ip"],
    ["0x7f.1", "ip"],
    ["2130706433", "ip"],
    ["example.1", "ip"],
    ["２.２.２.２", "ip"],
    ["::1", "ip"],
    ["[2001:db8::1]", "ip"],
    ["[::1]:443", "ip"],
    ["localhost", "labels"],
    ["com.", "labels"],
    ["example.com:443", "port"],
    ["example.com:", "port"],
    ["https://example.com", "hostname"],
    ["example.com/path", "hostname"],
    ["user@example.com", "hostname"],
    ["example.com?x", "hostname"],
    ["example.com#x", "hostname"],
    ["exam ple.com", "hostname"],
    ["exam\tple.com", "hostname"],
    ["exam%70le.com", "hostname"],
    ["_berth.example.com", "hostname"],
    ["v7--shop.example.com", "preview"],
    ["V12--shop.example.com.", "preview"],
    ["-a.example.com", "hostname"],
    ["a-.example.com", "hostname"],
    ["a..example.com", "hostname"],
    [`${"a".repeat(64)}.example`, "hostname"],
    [`${"a.".repeat(126)}example`, "hostname"],
    [".example.com", "idn"],
    ["", "idn"],
    ["xn--iñvalid.example", "idn"],
    ["*", "wildcard"],
    ["*.com", "wildcard"],
    ["a.*.example.com", "wildcard"],
    ["a*.example.com", "wildcard"],
    ["*.*.example.com", "wildcard"],
    ["example.*", "wildcard"],
  ])("%j is refused by the rule %s, in words", (written, rule) => {
    const read = readHostname(written);
    expect(read).toMatchObject({ kind: "refused", rule });
    expect(read.kind === "refused" && read.message.length).toBeGreaterThan(10);
  });
});

describe("the platform's own hostnames", () => {
  const reserved = ["berth.example", "api.berth.test", "nodes.berth.test", "localhost"];
  it.each([
    ["berth.example", "berth.example"],
    ["app.berth.example", "berth.example"],
    ["a.b.berth.example", "berth.example"],
    ["*.berth.example", "berth.example"],
    ["node-1.nodes.berth.test", "nodes.berth.test"],
    ["*.nodes.berth.test", "nodes.berth.test"],
    ["shop.localhost", "localhost"],
    // It would answer for api.berth.test and nodes.berth.test.
    ["*.berth.test", "api.berth.test"],
  ])("%s is of %s", (hostname, owner) => {
    expect(reservedBy(hostname, reserved)).toBe(owner);
  });
  it.each(["berth.test", "shop.berth.test", "notberth.example", "*.shop.berth.test", "example.com", "*.example.com"])(
    "%s is free",
    (hostname) => expect(reservedBy(hostname, reserved)).toBeNull(),
  );
});

describe("a wildcard", () => {
  it("is proven at its parent, and looked at through a label that nobody has", () => {
    expect(proofName("*.example.com")).toBe("_berth.example.com");
    expect(proofName("shop.example.com")).toBe("_berth.shop.example.com");
    expect(pointerName("*.example.com", "0123456789abcdef")).toBe("berth-0123456789ab.example.com");
    expect(pointerName("shop.example.com", "0123")).toBe("shop.example.com");
  });
  it.each([
    ["a.example.com", "*.example.com"],
    ["a.b.example.com", "*.b.example.com"],
    ["example.com", null],
    ["shop.berth.example", null],
    ["berth.example", null],
  ])("above %s is %s", (hostname, above) => {
    expect(wildcardAbove(hostname, "berth.example")).toBe(above);
  });
});
