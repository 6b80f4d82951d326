// A hostname as somebody wrote it, in the one form in which it is kept; or why it can be no custom domain.
import { Hostname } from "../../contracts/ids.ts";
import { parsePreview } from "../../contracts/override.ts";

export type ReadHostname =
  | { readonly kind: "hostname"; readonly hostname: string }
  | { readonly kind: "refused"; readonly rule: string; readonly message: string };

export const WILDCARD = "*.";
const refused = (rule: string, message: string): ReadHostname => ({ kind: "refused", rule, message });

/** What a URL's host would end at, or be changed by, without a word. */
const FOREIGN = /[\s/\\?#@%<>^|`{}"'(),;=&+!$~]/u;
const PORT = /:\d*$/;
/** The URL standard takes a last label of digits, or of hexadecimal ones, for an IPv4 address. */
const NUMBER = /^(?:\d+|0x[0-9a-f]*)$/;

/** Lower case, without a final dot, IDN as punycode (UTS 46, as the URL standard has it); `*.` in front for a wildcard. */
export function readHostname(written: string): ReadHostname {
  const text = written.trim();
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return refused("hostname", "must be a hostname alone, without a scheme");
  if (isAddress(text)) return refused("ip", "is an IP address: only a name can be a custom domain");
  if (PORT.test(text)) return refused("port", "must not have a port: a domain serves on the standard ones");
  const wildcard = text.startsWith(WILDCARD);
  const name = wildcard ? text.slice(WILDCARD.length) : text;
  if (name.includes("*"))
    return refused("wildcard", "a * may only stand alone as the first label, such as *.example.com");
  const foreign = FOREIGN.exec(name)?.[0] ?? (name.includes(":") ? ":" : undefined);
  if (foreign !== undefined) return refused("hostname", `must not have ${JSON.stringify(foreign)} in it`);
  const ascii = toAscii(name);
  if (ascii === null) return refused("idn", "is no valid internationalised name");
  if (isAddress(ascii)) return refused("ip", "is an IP address: only a name can be a custom domain");
  if (!ascii.includes(".")) return oneLabel(wildcard);
  if (ascii.includes("_")) return refused("hostname", "must not have _ in it: names with one are no hostnames");
  if (!wildcard && parsePreview(ascii))
    return refused("preview", "begins as the previews of versions do (v7--): no visitor would ever reach it");
  if (ascii.length > 253) return refused("hostname", "is longer than 253 characters");
  const parsed = Hostname.safeParse(ascii);
  if (!parsed.success) return refused("hostname", "each label must be 1 to 63 of a-z, 0-9 and -, no - at its ends");
  if (wildcard && ascii.length + WILDCARD.length > 253) return refused("hostname", "is longer than 253 characters");
  return { kind: "hostname", hostname: wildcard ? WILDCARD + ascii : ascii };
}

const oneLabel = (wildcard: boolean): ReadHostname =>
  wildcard
    ? refused("wildcard", "a wildcard needs two labels below its *, such as *.example.com")
    : refused("labels", "needs at least two labels, such as example.com");

function isAddress(text: string): boolean {
  const bare = text.replace(/\.$/, "").toLowerCase();
  if (/^\[.*\](?::\d*)?$/.test(bare) || /^[0-9a-f]*:[0-9a-f:]*:[0-9a-f:.]*$/.test(bare)) return true;
  const last = bare.replace(PORT, "").split(".").at(-1) ?? "";
  return NUMBER.test(last);
}

function toAscii(name: string): string | null {
  if (name === "" || name.startsWith(".")) return null;
  try {
    const { hostname } = new URL(`http://${name}`);
    return hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
  } catch {
    return null;
  }
}

/**
 * What is the platform's own: each of the names and all below it, and a wildcard that would take one of them. Null: it is free. The
 * names as readHostname writes them, or of a single label.
 */
export function reservedBy(hostname: string, reserved: readonly string[]): string | null {
  const below = hostname.startsWith(WILDCARD) ? hostname.slice(1) : `.${hostname}`;
  for (const name of reserved) {
    if (below.endsWith(`.${name}`)) return name;
    if (hostname.startsWith(WILDCARD) && name.endsWith(below) && !name.slice(0, -below.length).includes("."))
      return name;
  }
  return null;
}

/** Where the proof stands: of a wildcard at its parent. */
export const proofName = (hostname: string): string =>
  `_berth.${hostname.startsWith(WILDCARD) ? hostname.slice(WILDCARD.length) : hostname}`;
export const proofValue = (token: string): string => `berth-verify=${token}`;

/** The name whose alias is looked at: a wildcard answers for any label, and the token's is nobody's. */
export const pointerName = (hostname: string, token: string): string =>
  hostname.startsWith(WILDCARD) ? `berth-${token.slice(0, 12)}.${hostname.slice(WILDCARD.length)}` : hostname;

/** Of a hostname that is not known by itself: the wildcard that may cover it. Null: none can. */
export function wildcardAbove(hostname: string, baseDomain: string): string | null {
  const dot = hostname.indexOf(".");
  if (dot < 0 || !hostname.includes(".", dot + 1) || hostname.endsWith(`.${baseDomain}`) || hostname === baseDomain)
    return null;
  return `*${hostname.slice(dot)}`;
}
