// Addresses that tenants' containers do not get to, and the operator's exceptions from that.
import { isIP } from "node:net";

export type Family = "v4" | "v6";

/**
 * What is not the internet: this host's and its neighbours' networks, metadata services of clouds, and what leads there by
 * another notation. 168.63.129.16 is Azure's agent, which answers on a public address.
 */
export const CLOSED_RANGES: Readonly<Record<Family, readonly string[]>> = {
  v4: [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
  ],
  v6: [
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
  ],
};

/** A way that the operator opens: to these addresses, of all ports and protocols or of one. */
export interface Allowed {
  readonly family: Family;
  readonly range: string;
  /** null: all. */
  readonly port: number | null;
  readonly protocols: readonly ("tcp" | "udp")[];
}

const FORM = "ADDRESS[/BITS][:PORT[/tcp or /udp]], an IPv6 address in brackets where a port follows";

/** `10.0.0.5:5432/tcp`, `10.20.0.0/16`, `[fd00::5]:443`. Throws with a message for people. */
export function readAllowed(text: string): Allowed {
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)|([^[\]]*:[^[\]]*:[^[\]]*))(?::(\d{1,5})(?:\/(tcp|udp))?)?$/.exec(text);
  const range = parts?.[1] ?? parts?.[2] ?? parts?.[3] ?? "";
  const [address = "", bits, ...more] = range.split("/");
  const version = isIP(address);
  const bitsMax = version === 6 ? 128 : 32;
  const wide = bits === undefined ? bitsMax : /^\d{1,3}$/.test(bits) ? Number(bits) : Infinity;
  const port = parts?.[4] === undefined ? null : Number(parts[4]);
  if (version === 0 || more.length > 0 || wide > bitsMax || port === 0 || (port ?? 1) > 65_535) {
    throw new Error(`${text} is not ${FORM}`);
  }
  const named = parts?.[5] as "tcp" | "udp" | undefined;
  return {
    family: version === 6 ? "v6" : "v4",
    range: `${address}/${wide}`,
    port,
    protocols: port === null ? [] : named === undefined ? ["tcp", "udp"] : [named],
  };
}

/**
 * Whom the Engine's own resolver asks for a container, out of its network: what /etc/resolv.conf names, without those on this host's
 * loopback, which the Engine asks itself. Zones of link-local addresses are no part of a rule.
 */
export function nameServersIn(resolvConf: string): string[] {
  const named = [...resolvConf.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)].map(([, server = ""]) => server);
  return named
    .map((server) => server.split("%")[0] ?? "")
    .filter((server) => isIP(server) !== 0 && !isLoopback(server));
}

const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1";

export const allowedNameServer = (address: string): Allowed => ({
  ...readAllowed(isIP(address) === 6 ? `[${address}]` : address),
  port: 53,
  protocols: ["udp", "tcp"],
});
