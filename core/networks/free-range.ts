// Which address range a team's network gets on a node whose Engine has none left in its pools.
import ipaddr from "ipaddr.js";
import { type Range, readRange, within } from "../outbound/addresses.ts";

/**
 * The first is private, holds 16,384 networks, and others begin elsewhere: Docker's pools are in 172.16.0.0/12 and 192.168.0.0/16,
 * most sites' networks at 10.0.0.0. Some hosts have a route to all of 10.0.0.0/8: for them there are 512 in the range for measuring
 * networks, which the internet does not route. The firewall closes both to other teams' containers (node-agent/agent/firewall/ranges.ts).
 */
export const OWN_RANGES = ["10.64.0.0/10", "198.18.0.0/15"] as const;
/** As much as a team's instances on one node need: 252 containers. */
const BITS = 24;

/**
 * The first range that overlaps with nothing in use, from a start within ours (0 to 1) onwards. inUse: ranges and addresses in CIDR
 * notation; what cannot be read, and IPv6, is in nobody's way. Null: none is left.
 */
export function freeRange(inUse: readonly string[], start: number): string | null {
  const used = inUse.map(readRange).filter((range) => range !== null);
  for (const text of OWN_RANGES) {
    const own = ipaddr.parseCIDR(text);
    const near = used.filter((range) => overlap(range, own));
    // Most are other teams', and as wide as what is sought: looked up, so that hundreds of them cost no time.
    const taken = new Set(near.filter(([, bits]) => bits >= BITS).map(([address]) => baseOf(address)));
    const wide = near.filter(([, bits]) => bits < BITS);
    const count = 2 ** (BITS - own[1]);
    const first = Math.floor(start * count);
    for (let step = 0; step < count; step += 1) {
      const address = nth(own, (first + step) % count);
      const base = address.toString();
      if (!taken.has(base) && !wide.some((other) => within(address, other))) return `${base}/${BITS}`;
    }
  }
  return null;
}

/**
 * What this host has ways to, of the text of Linux's /proc/net/route. The default route leads to all that has no way of its own, and
 * says nothing of what is in use; VPNs write it as two halves.
 */
export function routesIn(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [, destination = "", , , , , , mask = ""] = line.trim().split(/\s+/);
    if (!/^[\dA-F]{8}$/i.test(destination) || !/^[\dA-F]{8}$/i.test(mask)) return [];
    const bits = addressIn(mask).prefixLengthFromSubnetMask();
    return bits === null || bits <= 1 ? [] : [`${addressIn(destination).toString()}/${bits}`];
  });
}

/** In hex as the processor has it in memory: the last byte first on all that the agent runs on. */
function addressIn(hex: string) {
  return new ipaddr.IPv4((hex.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).reverse());
}

/** Ours are wider than /16: the second byte begins where theirs does. */
function nth([own]: Range, index: number): Range[0] {
  const [first = 0, second = 0] = own.toByteArray();
  return new ipaddr.IPv4([first, second + Math.floor(index / 256), index % 256, 0]);
}

/** Where the range of our width begins that an address is in. */
function baseOf(address: Range[0]): string {
  return ipaddr.IPv4.networkAddressFromCIDR(`${address.toString()}/${BITS}`).toString();
}

/** Of two ranges that share an address the narrower one lies within the other. */
function overlap([a, aBits]: Range, [b, bBits]: Range): boolean {
  return within(a, [b, Math.min(aBits, bBits)]);
}
