// Which IP addresses are the internet's, for whatever is fetched because a user named it; all else is closed, by name of its range.
import ipaddr from "ipaddr.js";

type Address = ReturnType<typeof ipaddr.parse>;
export type Range = readonly [Address, number];

/** closed: `what` it is, for people. */
export type AddressKind = { readonly kind: "public" } | { readonly kind: "closed"; readonly what: string };

const PUBLIC: AddressKind = { kind: "public" };
const closed = (what: string): AddressKind => ({ kind: "closed", what });

/** Of IPv6 only this is given out to anybody (RFC 4291, IANA's registry): what is outside leads nowhere, or back to us. */
const GLOBAL_V6 = ipaddr.parseCIDR("2000::/3");
/** Azure's agent, which answers virtual machines on a public address. */
const PLATFORM_AGENT = ipaddr.parse("168.63.129.16").toString();
/** RFC 6052's well-known prefix: what a network with NAT64 answers for names that have IPv4 addresses alone. */
const NAT64 = ipaddr.parseCIDR("64:ff9b::/96");

const WORDS: Readonly<Record<string, string>> = {
  unspecified: "this host itself",
  loopback: "this host's loopback",
  private: "a private network's",
  uniqueLocal: "a private network's",
  linkLocal: "link-local, where clouds have their metadata services",
  carrierGradeNat: "of a carrier's inner network",
  multicast: "a multicast group's",
  broadcast: "a broadcast",
};

/** An address in any notation that a URL's host or a resolver's answer has after the URL standard's parsing; null: it is none. */
export function readAddress(text: string): Address | null {
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  // A zone names an interface of this very host, and no address of the internet has one.
  if (!ipaddr.isValid(bare)) return null;
  return ipaddr.parse(bare);
}

/** Of an address that carries another in it (IPv4-mapped, NAT64): the one inside, which is what is reached. */
export function innermost(address: Address): Address {
  if (address.kind() === "ipv4") return address;
  const v6 = address as ReturnType<typeof ipaddr.IPv6.parse>;
  if (v6.isIPv4MappedAddress()) return v6.toIPv4Address();
  if (within(v6, NAT64)) return ipaddr.fromByteArray(v6.toByteArray().slice(-4));
  return address;
}

export function addressKind(outer: Address): AddressKind {
  const address = innermost(outer);
  if (address.toString() === PLATFORM_AGENT) return closed("a cloud's own agent");
  const range = address.range();
  if (range !== "unicast") return closed(WORDS[range] ?? `of a reserved range (${range})`);
  if (address.kind() === "ipv6" && !within(address, GLOBAL_V6)) return closed("of a reserved range");
  return PUBLIC;
}

export function within(address: Address, [range, bits]: Range): boolean {
  if (address.kind() !== range.kind()) return false;
  return address.kind() === "ipv4"
    ? (address as ReturnType<typeof ipaddr.IPv4.parse>).match(range as ReturnType<typeof ipaddr.IPv4.parse>, bits)
    : (address as ReturnType<typeof ipaddr.IPv6.parse>).match(range as ReturnType<typeof ipaddr.IPv6.parse>, bits);
}

/** `10.0.0.0/8`, or one address; null: neither. */
export function readRange(text: string): Range | null {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  const address = readAddress(text);
  return address === null ? null : [address, address.kind() === "ipv4" ? 32 : 128];
}
