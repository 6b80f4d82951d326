// Whether we fetch from where a user says: the URL before a look-up, and what its host's name resolved to after it. ADR 28.
import { addressKind, readAddress } from "./addresses.ts";
import { isOpenAddress, isOpenName, readExceptions, type Exception } from "./exceptions.ts";

/** What the guard lets us fetch. `resolve`: its addresses must be judged, and only those may be dialled. */
export interface Target {
  readonly kind: "target";
  readonly url: URL;
  /** Lower case, without a final dot or brackets. */
  readonly host: string;
  readonly port: number;
  readonly resolve: boolean;
  /** An operator opened this very place. */
  readonly isException: boolean;
}
export type OutboundRule = "url" | "scheme" | "user_info" | "port" | "closed_host" | "closed_address" | "no_address";
export interface OutboundRefusal {
  readonly kind: "refused";
  readonly rule: OutboundRule;
  readonly message: string;
}

export interface OutboundRules {
  readonly exceptions: readonly Exception[];
  /** Without TLS whoever is on the way reads and answers: only where an exception says so, or where it is asked for. */
  readonly plainHttp?: boolean;
}

const URL_LENGTH_MAX = 2_048;
/** Names that resolvers of a network answer for that network alone (RFC 6761, 6762, 8375, clouds' metadata). */
const INNER_NAMES = ["localhost", "local", "internal", "intranet", "lan", "home.arpa", "in-addr.arpa", "ip6.arpa"];
/** Below 1024 other protocols live, to whose servers a request of ours would speak in our name. */
const WEB_PORTS: ReadonlySet<number> = new Set([80, 443]);
const FREE_PORTS_FROM = 1_024;

const refused = (rule: OutboundRule, message: string): OutboundRefusal => ({ kind: "refused", rule, message });

/** base: a redirect's Location may be relative to what was asked. */
export function judgeUrl(text: string, rules: OutboundRules, base?: URL): Target | OutboundRefusal {
  if (text.length > URL_LENGTH_MAX) return refused("url", `is longer than ${URL_LENGTH_MAX} characters`);
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    return refused("url", "is no URL");
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return refused("scheme", `must begin with https:, not ${url.protocol.slice(0, 32)}`);
  }
  if (url.username !== "" || url.password !== "") return refused("user_info", "must not have a user or password in it");
  const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.+$/, "");
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  return judgeHost(url, host, port, rules);
}

function judgeHost(url: URL, host: string, port: number, rules: OutboundRules): Target | OutboundRefusal {
  const address = readAddress(host);
  const { exceptions } = rules;
  const isOpen = address === null ? isOpenName(exceptions, host, port) : isOpenAddress(exceptions, host, port);
  const target = (resolve: boolean): Target => ({ kind: "target", url, host, port, resolve, isException: isOpen });
  if (isOpen) return target(false);
  if (address === null) {
    const inner = innerName(host);
    if (inner !== null) return refused("closed_host", `${host} is ${inner}, which is not reached for users`);
  } else {
    const found = addressKind(address);
    if (found.kind === "closed") return closedAddress(host, host, found.what);
  }
  if (!WEB_PORTS.has(port) && port < FREE_PORTS_FROM) {
    return refused("port", `port ${port} is no web server's: use 443, 80 or one from ${FREE_PORTS_FROM} on`);
  }
  // Of a name whose addresses an exception opens, plain http is judged with them.
  if (url.protocol === "http:" && rules.plainHttp !== true && (address !== null || !hasRanges(exceptions))) {
    return refused("scheme", "must begin with https:");
  }
  return target(address === null);
}

const hasRanges = (exceptions: readonly Exception[]): boolean => exceptions.some(({ kind }) => kind === "range");

function innerName(host: string): string | null {
  if (host === "") return "no name";
  if (!host.includes(".")) return "a name of one label";
  const zone = INNER_NAMES.find((name) => host === name || host.endsWith(`.${name}`));
  return zone === undefined ? null : `below .${zone}`;
}

function closedAddress(host: string, address: string, what: string): OutboundRefusal {
  const leads = host === address ? host : `${host} leads to ${address}, which`;
  return refused("closed_address", `${leads} is ${what}, and is not reached for users`);
}

/**
 * All that the name resolved to. One closed address among open ones refuses the whole: whoever mixes them wants us to take the one that we
 * did not look at.
 */
export function judgeAddresses(
  { host, port, url }: Target,
  addresses: readonly string[],
  rules: OutboundRules,
): OutboundRefusal | null {
  if (addresses.length === 0) return refused("no_address", `${host} has no address in the DNS`);
  let isAllOpen = true;
  for (const text of addresses) {
    if (isOpenAddress(rules.exceptions, text, port)) continue;
    isAllOpen = false;
    const address = readAddress(text);
    const found = address === null ? null : addressKind(address);
    if (found?.kind !== "public") return closedAddress(host, text, found?.what ?? "no address");
  }
  const isPlain = url.protocol === "http:" && rules.plainHttp !== true;
  return isPlain && !isAllOpen ? refused("scheme", "must begin with https:") : null;
}

/** What racks are on: a node's gateway may be there, though nothing that a tenant names may. */
const RACKS = readExceptions("10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7");

/**
 * Where an enrolling node says that its gateway is. Whoever has a join token says it, and the edge sends visitors there: never to the
 * control plane's own host, or to a cloud's metadata. Names of the rack's own network are fine.
 */
export function judgeGateway(gatewayUrl: string, exceptions: readonly Exception[]): OutboundRefusal | null {
  const racks = RACKS.kind === "exceptions" ? RACKS.exceptions : [];
  const said = judgeUrl(gatewayUrl, { exceptions: [...racks, ...exceptions], plainHttp: true });
  if (said.kind === "target" || said.rule === "port") return null;
  const isOwnHost = /(^|\.)localhost\.?$/.test(new URL(gatewayUrl).hostname);
  return said.rule === "closed_host" && !isOwnHost ? null : said;
}
