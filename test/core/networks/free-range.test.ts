// The address range of a team's network where the Engine has none left: within ours, and apart from all that is in use.
import { expect, test } from "vitest";
import { freeRange, OWN_RANGES, routesIn } from "../../../core/networks/free-range.ts";

test("the first free range is taken from the start on, and after the last one comes the first again", () => {
  expect(freeRange([], 0)).toBe("10.64.0.0/24");
  expect(freeRange([], 0.5)).toBe("10.96.0.0/24");
  expect(freeRange([], 1 - 2 ** -14)).toBe("10.127.255.0/24");
  expect(freeRange(["10.127.255.0/24", "10.64.0.0/24"], 1 - 2 ** -14)).toBe("10.64.1.0/24");
});

test("what overlaps is passed over, be it wider, narrower or one address, of a host's interface or in another notation", () => {
  expect(freeRange(["10.64.0.0/16"], 0)).toBe("10.65.0.0/24");
  expect(freeRange(["10.64.0.128/25", "10.64.1.77", "10.64.2.3/30"], 0)).toBe("10.64.3.0/24");
  expect(freeRange(["10.64.7.9/21"], 0)).toBe("10.64.8.0/24");
  expect(freeRange(["10.64.1.0/24", "10.63.255.0/24", "172.17.0.0/16"], 0)).toBe("10.64.0.0/24");
});

test("IPv6 and what cannot be read are in nobody's way", () => {
  expect(freeRange(["fd00::/8", "::/0", "fe80::1%eth0/64", "", "nonsense", "10.64.0.0/33"], 0)).toBe("10.64.0.0/24");
});

test("each of hundreds gets a range of its own, from whatever start", () => {
  const taken: string[] = [];
  for (let team = 0; team < 400; team += 1) taken.push(freeRange(taken, (team * 0.618) % 1) ?? "none");
  expect(new Set(taken).size).toBe(400);
  expect(taken).not.toContain("none");
});

test("a host with a way to the whole of the one takes the other, down to its last range, and then none", () => {
  const taken = ["10.0.0.0/8"];
  expect(freeRange(taken, 0)).toBe("198.18.0.0/24");
  for (let index = 1; index < 512; index += 1) taken.push(`198.${18 + Math.floor(index / 256)}.${index % 256}.1/24`);
  expect(freeRange(taken, 0.5)).toBe("198.18.0.0/24");
  expect(freeRange([...taken, "198.18.0.0/24"], 0.5)).toBeNull();
  expect(freeRange([...OWN_RANGES], 0)).toBeNull();
});

test("routes are read as Linux tells them, without the default one, whole or in halves", () => {
  const text = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
tun0\t00000000\t0101080A\t0003\t0\t0\t0\t00000080\t0\t0\t0
tun0\t00000080\t0101080A\t0003\t0\t0\t0\t00000080\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth1\t0000400A\t00000000\t0001\t0\t0\t0\t0000C0FF\t0\t0\t0
eth0\t0505050A\t010200C0\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0
`;
  expect(routesIn(text)).toEqual(["172.17.0.0/16", "10.64.0.0/10", "10.5.5.5/32"]);
  expect(routesIn("")).toEqual([]);
});
