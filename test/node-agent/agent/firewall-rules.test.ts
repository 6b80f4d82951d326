// The firewall's rules as they are written: what is closed, what an operator opens, and what is left where iptables lacks something.
import { expect, test } from "vitest";
import { areJumpsRight, removalLines, restoreLines } from "../../../node-agent/agent/firewall/layout.ts";
import { nameServersIn, readAllowed } from "../../../node-agent/agent/firewall/ranges.ts";
import { bridgeName, chainsOf, type Feature, FEATURES, ruleNames } from "../../../node-agent/agent/firewall/rules.ts";

const NODE = "node_01m7zy9jhnf23vwcedaveh3h4a";
const names = ruleNames(NODE);
const limits = { egressConnectionsMax: 100, egressNewPerSecondMax: 10 };
const ruled = { names, bridges: ["bh3h4a-0trqbjb4"], foreign: [], allowed: [readAllowed("10.0.0.5:5432/tcp")], limits };
const all = new Set<Feature>(FEATURES);
const without = (feature: Feature) => new Set(FEATURES.filter((one) => one !== feature));

test("an operator's exceptions are read in every form, and nonsense is refused with what is expected", () => {
  expect(readAllowed("10.0.0.5")).toEqual({ family: "v4", range: "10.0.0.5/32", port: null, protocols: [] });
  expect(readAllowed("10.20.0.0/16:443")).toEqual({
    ...{ family: "v4", range: "10.20.0.0/16", port: 443, protocols: ["tcp", "udp"] },
  });
  expect(readAllowed("fd00::/8")).toEqual({ family: "v6", range: "fd00::/8", port: null, protocols: [] });
  expect(readAllowed("[fd00::5]:53/udp")).toEqual({ family: "v6", range: "fd00::5/128", port: 53, protocols: ["udp"] });
  for (const bad of [
    "",
    "x",
    "10.0.0.0/33",
    "10.0.0.5:0",
    "10.0.0.5:70000",
    "10.0.0.5:1/icmp",
    "10.0.0",
    "[10.0.0.5",
    "a b",
    "::1/129",
    "1.2.3.4 -j ACCEPT",
  ]) {
    expect(() => readAllowed(bad), bad).toThrow("is not ADDRESS[/BITS]");
  }
});

test("name servers are those that a container can be made to ask: none on the host's own loopback", () => {
  const text =
    "# nameserver 9.9.9.9\nnameserver 127.0.0.53\n nameserver 10.0.0.2\nnameserver fe80::1%eth0\nsearch nameserver\n";
  expect(nameServersIn(text)).toEqual(["10.0.0.2", "fe80::1"]);
});

test("bridges and chains have names that iptables takes, of this node alone", () => {
  const bridge = bridgeName(NODE, "team_01m7zxv5s5e009ykbh3w6wnwhm");
  expect(bridge).toBe("bh3h4a-3w6wnwhm");
  expect(bridge.length).toBeLessThan(16);
  for (const chain of [names.from, names.to, names.host, names.refuse]) expect(`${chain}-TRY`.length).toBeLessThan(29);
});

test("what the operator opens comes before what is closed, and port 25 is closed even on the internet", () => {
  const { from } = chainsOf(ruled, "v4", all);
  const at = (part: string) => from.findIndex((line) => line.includes(part));
  expect(at("10.0.0.5/32 -p tcp -m tcp --dport 5432")).toBeLessThan(at("-d 10.0.0.0/8"));
  for (const range of ["169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"])
    expect(at(range)).toBeGreaterThan(0);
  expect(at("--dport 25 -j")).toBeGreaterThan(at("192.168.0.0/16"));
  expect(chainsOf(ruled, "v6", all).from.join()).toMatch(/fc00::\/7.*fe80::\/10/);
});

test("without one of iptables' extensions the rest still stands", () => {
  expect(chainsOf(ruled, "v4", without("connlimit")).from.join()).not.toContain("connlimit");
  expect(chainsOf(ruled, "v4", without("hashlimit")).from.join()).not.toContain("hashlimit");
  expect(chainsOf(ruled, "v4", without("reject")).refuse).toEqual(["-j DROP"]);
  const bare = chainsOf(ruled, "v4", without("conntrack"));
  expect(JSON.stringify(bare)).not.toContain("conntrack");
  expect(bare.from[0]).toBe("-p tcp -m tcp ! --syn -j RETURN");
  expect(bare.host.at(-1)).toBe(`-j ${names.refuse}`);
});

test("jumps are right only where nothing but an agent's comes before them, and what is wrong is taken out", () => {
  const jumps = (hook: string): [string, string[]][] => [
    ["INPUT", [`-i ${names.bridges} -j ${names.host}`]],
    [
      hook,
      ["-i bxxxxx-+ -j BERTH-xxxxx-FROM", `-o ${names.bridges} -j ${names.to}`, `-i ${names.bridges} -j ${names.from}`],
    ],
  ];
  const engine: [string, string[]] = ["FORWARD", ["-j DOCKER-USER", "-j DOCKER-ISOLATION-STAGE-1"]];
  const good = new Map([engine, ...jumps("DOCKER-USER")]);
  expect(areJumpsRight(good, names, [])).toBe(true);
  expect(areJumpsRight(new Map([...good, ["INPUT", ["-j ACCEPT", ...good.get("INPUT")!]]]), names, [])).toBe(false);
  // An emptied FORWARD leads nowhere near the Engine's chain.
  const emptied = new Map([...good, ["FORWARD", [] as string[]]]);
  expect(areJumpsRight(emptied, names, [])).toBe(false);
  const lines = restoreLines(emptied, names, chainsOf(ruled, "v4", all), []);
  expect(lines).toContain(`-D DOCKER-USER -i ${names.bridges} -j ${names.from}`);
  expect(lines).toContain(`-I FORWARD 1 -i ${names.bridges} -j ${names.from}`);
  expect(lines.join("\n")).not.toContain("xxxxx");
  expect(areJumpsRight(new Map([["FORWARD", []], ...jumps("FORWARD")]), names, ["br-1234"])).toBe(false);
  expect(removalLines(new Map([...good, [names.from, []]]), names)).toEqual([
    `-D INPUT -i ${names.bridges} -j ${names.host}`,
    `-D DOCKER-USER -o ${names.bridges} -j ${names.to}`,
    `-D DOCKER-USER -i ${names.bridges} -j ${names.from}`,
    `-F ${names.from}`,
    `-X ${names.from}`,
  ]);
});
