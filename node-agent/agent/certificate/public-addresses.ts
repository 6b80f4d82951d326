// Where this host is reached from outside, as far as its own interfaces say.
import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";

/** What a DNS record takes; a server with more has them for something else. */
const ADDRESSES_MAX = 8;

/** Not for the internet: private, shared, link-local, documentation, and so on (RFC 6890). */
const PRIVATE = new BlockList();
for (const [net, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const)
  PRIVATE.addSubnet(net, prefix, "ipv4");
const GLOBAL = new BlockList();
GLOBAL.addSubnet("2000::", 3, "ipv6");
const DOCUMENTATION = new BlockList();
DOCUMENTATION.addSubnet("2001:db8::", 32, "ipv6");

export function isPublic(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !PRIVATE.check(address, "ipv4");
  return family === 6 && GLOBAL.check(address, "ipv6") && !DOCUMENTATION.check(address, "ipv6");
}

/** listensOn: the gateway's host. Of one address only that one counts, of 0.0.0.0 those of IPv4, of :: all. */
export function publicAddresses(listensOn: string, interfaces = networkInterfaces()): string[] {
  const all = Object.values(interfaces).flatMap((rows) => rows ?? []);
  const found = all.filter(({ internal, address }) => !internal && isPublic(address));
  const heard = found.filter(({ address, family }) => {
    if (listensOn === "::") return true;
    return listensOn === "0.0.0.0" ? family === "IPv4" : address === listensOn;
  });
  return [...new Set(heard.map(({ address }) => address))].sort().slice(0, ADDRESSES_MAX);
}
