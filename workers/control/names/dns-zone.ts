// The port to whoever serves the nodes' zone, and which one this installation has.
import type { ControlEnv } from "../env.ts";
import { cloudflareDns } from "./cloudflare-dns.ts";
import { powerDns } from "./powerdns.ts";

export type ZoneRecordType = "A" | "AAAA" | "TXT";

export interface DnsZone {
  /**
   * In place of all records of that name and type; without values they are gone. Repeatable. Throws DnsRefused where the
   * provider cannot be asked or refuses.
   */
  set(name: string, type: ZoneRecordType, values: readonly string[]): Promise<void>;
}

/** retryAfterMs: when the provider wants to be asked again, where it said so. */
export class DnsRefused extends Error {
  readonly retryAfterMs: number | null;
  constructor(message: string, retryAfterMs: number | null = null) {
    super(message);
    this.name = "DnsRefused";
    this.retryAfterMs = retryAfterMs;
  }
}

/** A record that is wrong is wrong for no longer; and a node that moves is found again within it. */
export const RECORD_TTL_SECONDS = 60;
export const DNS_TIMEOUT_MS = 10_000;

/** Of an answer's header: null where it says nothing. */
export function retryAfterMsOf(response: Response): number | null {
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  return Number.isFinite(seconds) ? seconds * 1_000 : null;
}

/** What a fetch rejects with says nothing of whom was asked. */
export const unreachable = (who: string, error: unknown): DnsRefused =>
  new DnsRefused(`${who} cannot be reached: ${error instanceof Error ? error.message : String(error)}`);

/** Null: names of nodes are the operator's affair. Throws where a zone is named and nobody who serves it. */
export function nodesZoneOf(env: ControlEnv): { zone: string; dns: DnsZone } | null {
  const zone = (env.NODES_ZONE ?? "").toLowerCase().replace(/\.$/, "");
  if (zone === "") return null;
  if (env.POWERDNS_URL) {
    if (!env.POWERDNS_API_KEY) throw new Error("POWERDNS_URL is set, and POWERDNS_API_KEY is missing");
    return { zone, dns: powerDns({ url: env.POWERDNS_URL, apiKey: env.POWERDNS_API_KEY, zone }) };
  }
  const zoneId = env.NODES_ZONE_ID || env.CLOUDFLARE_ZONE_ID;
  const token = env.NODES_DNS_TOKEN || env.CLOUDFLARE_API_TOKEN;
  if (!zoneId || !token) {
    throw new Error("NODES_ZONE is set: NODES_ZONE_ID and NODES_DNS_TOKEN (or POWERDNS_URL and its key) must be too");
  }
  const { CLOUDFLARE_API_URL: api } = env;
  return { zone, dns: cloudflareDns({ zoneId, token, ...(api === undefined ? {} : { api }) }) };
}
