// What is fetched because a user named it: URLs in every disguise, what names resolve to, and what an operator opens.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readExceptions, type Exception } from "../../../core/outbound/exceptions.ts";
import { judgeAddresses, judgeGateway, judgeUrl, type OutboundRules } from "../../../core/outbound/judge.ts";

function opened(text: string): readonly Exception[] {
  const read = readExceptions(text);
  if (read.kind === "refused") throw new Error(read.message);
  return read.exceptions;
}
const CLOSED: OutboundRules = { exceptions: [] };
const verdict = (url: string, rules = CLOSED): string => {
  const said = judgeUrl(url, rules);
  return said.kind === "target" ? "target" : said.rule;
};

describe("a URL that a user gives", () => {
  it.each([
    ["https://hooks.example.com/berth?x=1", "target"],
    ["https://8.8.8.8/", "target"],
    ["https://[2606:4700::1111]:8443/", "target"],
    ["https://xn--bcher-kva.example/", "target"],
    ["http://hooks.example.com/", "scheme"],
    ["ftp://example.com/", "scheme"],
    ["file:///etc/passwd", "scheme"],
    ["gopher://127.0.0.1:6379/_x", "scheme"],
    ["data:text/plain,hi", "scheme"],
    ["javascript:alert(1)", "scheme"],
    ["https://user@example.com/", "user_info"],
    ["https://example.com:x@127.0.0.1/", "user_info"],
    ["https://example.com:22/", "port"],
    ["https://example.com:25/", "port"],
    ["https://example.com:65536/", "url"],
    ["//example.com/", "url"],
    ["", "url"],
    [`https://example.com/${"a".repeat(2_048)}`, "url"],
  ])("%s: %s", (url, expected) => expect(verdict(url)).toBe(expected));

  it.each([
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "metadata.google.internal",
    "printer.local",
    "router",
    "box.home.arpa",
    "1.0.0.127.in-addr.arpa",
  ])("a name that only a network's own resolver knows is refused: %s", (host) => {
    expect(verdict(`https://${host}/`)).toBe("closed_host");
  });

  it.each([
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "%31%32%37.0.0.1",
    "１２７.０.０.１",
    "0",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "0xA9FEA9FE",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:a9fe:a9fe]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::a00:1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[100::1]",
    "[2001:db8::1]",
    "[4000::1]",
  ])("an address that is not the internet's is refused in every notation: %s", (host) => {
    expect(verdict(`https://${host}/`)).toBe("closed_address");
  });

  it("an IPv4 address is closed in each disguise of IPv6 exactly where it is closed by itself", () => {
    fc.assert(
      fc.property(fc.ipV4(), (v4) => {
        const [a = 0, b = 0, c = 0, d = 0] = v4.split(".").map(Number);
        const alone = verdict(`https://${v4}/`);
        const number = ((a * 256 + b) * 256 + c) * 256 + d;
        for (const host of [String(number), `[::ffff:${v4}]`, `[64:ff9b::${v4}]`]) {
          expect(verdict(`https://${host}/`), `${host} of ${v4}`).toBe(alone);
        }
        expect(verdict(`https://[::${v4}]/`)).not.toBe("target");
      }),
      { numRuns: 500 },
    );
  });

  it("of any text comes a verdict, and what is let through is http or https without a user", () => {
    fc.assert(
      fc.property(fc.oneof(fc.webUrl(), fc.string(), fc.string({ unit: "binary" })), (text) => {
        const said = judgeUrl(text, { exceptions: [], plainHttp: true });
        if (said.kind === "refused") return;
        expect(said.url.protocol).toMatch(/^https?:$/);
        expect(said.url.username + said.url.password).toBe("");
        expect(said.host).not.toMatch(/\.$|^\[/);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("what a name resolves to", () => {
  const target = (url = "https://hooks.example.com/") => {
    const said = judgeUrl(url, { exceptions: [], plainHttp: true });
    if (said.kind === "refused") throw new Error(said.message);
    expect(said.resolve).toBe(true);
    return said;
  };

  it("only public addresses pass, and one closed among them refuses the whole, by name", () => {
    expect(judgeAddresses(target(), ["93.184.215.14", "2606:2800::1"], CLOSED)).toBeNull();
    expect(judgeAddresses(target(), ["93.184.215.14", "10.0.0.5"], CLOSED)).toEqual({
      kind: "refused",
      rule: "closed_address",
      message: "hooks.example.com leads to 10.0.0.5, which is a private network's, and is not reached for users",
    });
    expect(judgeAddresses(target(), [], CLOSED)?.rule).toBe("no_address");
    expect(judgeAddresses(target(), ["fe80::1%eth0"], CLOSED)?.rule).toBe("closed_address");
    expect(judgeAddresses(target(), ["not an address"], CLOSED)?.rule).toBe("closed_address");
  });

  it("a name whose addresses an operator opened may be asked without TLS; a public one may not", () => {
    const rules = { exceptions: opened("10.0.0.0/8") };
    const said = judgeUrl("http://registry.example.com/", rules);
    if (said.kind === "refused") throw new Error(said.message);
    expect(judgeAddresses(said, ["10.0.0.5"], rules)).toBeNull();
    expect(judgeAddresses(said, ["93.184.215.14"], rules)?.rule).toBe("scheme");
    expect(judgeAddresses(said, ["10.0.0.5", "192.168.0.1"], rules)?.rule).toBe("closed_address");
  });
});

describe("what an operator opens", () => {
  it.each([
    ["127.0.0.0/8", "http://127.0.0.1:5000/", "target"],
    ["127.0.0.0/8", "http://[::ffff:127.0.0.1]:5000/", "target"],
    ["127.0.0.0/8", "http://10.0.0.1/", "closed_address"],
    ["localhost:5000", "http://localhost:5000/", "target"],
    ["localhost:5000", "http://localhost:5001/", "closed_host"],
    ["registry.rack:22", "https://registry.rack:22/", "target"],
    ["registry.rack", "https://a.registry.rack/", "target"],
    ["[10.0.0.0/8]:443", "https://10.1.1.1/", "target"],
    ["[10.0.0.0/8]:443", "https://10.1.1.1:8443/", "closed_address"],
    ["10.0.0.5:443", "https://10.0.0.5/", "target"],
    ["fd00::/8", "https://[fd00::5]/", "target"],
    ["[fd00::5]:443", "https://[fd00::5]/", "target"],
    [" Registry.Rack , 10.0.0.5 ", "https://10.0.0.5/", "target"],
    ["127.0.0.0/8", "https://user@127.0.0.1/", "user_info"],
  ])("%s: %s is %s", (text, url, expected) => expect(verdict(url, { exceptions: opened(text) })).toBe(expected));

  it.each(["10.0.0.0/33", "a b", "registry:0", "registry:70000", "https://registry", "-x", "*.example.com"])(
    "%s is no exception, and says so",
    (text) => expect(readExceptions(text)).toMatchObject({ kind: "refused", message: expect.stringContaining(text) }),
  );
});

describe("where an enrolling node says that its gateway is", () => {
  it.each([
    ["https://n-1.nodes.example.com:7070", null],
    ["http://10.0.0.5:7070", null],
    ["http://node1:7070", null],
    ["http://node1.rack.lan:81", null],
    ["https://203.1.2.3", null],
    ["http://127.0.0.1:7070", "closed_address"],
    ["http://[::1]:7070", "closed_address"],
    ["http://localhost:7070", "closed_host"],
    ["http://a.localhost.:7070", "closed_host"],
    ["http://169.254.169.254", "closed_address"],
    ["http://[fe80::1]:7070", "closed_address"],
    ["http://0.0.0.0:5432", "closed_address"],
    ["http://user@10.0.0.5:7070", "user_info"],
  ])("%s: %s", (url, rule) => expect(judgeGateway(url, [])?.rule ?? null).toBe(rule));

  it("a local stack's loopback is open by its setting", () => {
    expect(judgeGateway("http://127.0.0.1:7070", opened("127.0.0.0/8"))).toBeNull();
  });
});
