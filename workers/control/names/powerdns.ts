// A zone on an operator's own PowerDNS: its HTTP API, of which dev/dns plays the same part.
import { z } from "zod";
import {
  DNS_TIMEOUT_MS,
  DnsRefused,
  RECORD_TTL_SECONDS,
  retryAfterMsOf,
  unreachable,
  type DnsZone,
} from "./dns-zone.ts";

const Refusal = z.object({ error: z.string() });

export interface PowerDns {
  /** As in `http://127.0.0.1:8081`. */
  readonly url: string;
  readonly apiKey: string;
  readonly zone: string;
}

export function powerDns({ url, apiKey, zone }: PowerDns): DnsZone {
  const path = `${url.replace(/\/$/, "")}/api/v1/servers/localhost/zones/${encodeURIComponent(`${zone}.`)}`;
  return {
    async set(name, type, values) {
      const records = values.map((value) => ({ content: type === "TXT" ? `"${value}"` : value, disabled: false }));
      const change =
        values.length === 0 ? { changetype: "DELETE" } : { changetype: "REPLACE", ttl: RECORD_TTL_SECONDS, records };
      const response = await fetch(path, {
        method: "PATCH",
        headers: { "x-api-key": apiKey, "content-type": "application/json" },
        body: JSON.stringify({ rrsets: [{ name: `${name}.`, type, ...change }] }),
        signal: AbortSignal.timeout(DNS_TIMEOUT_MS),
      }).catch((error: unknown) => {
        throw unreachable("PowerDNS", error);
      });
      const text = await response.text();
      if (!response.ok) throw new DnsRefused(`PowerDNS refused the record: ${reasonOf(response, text)}`, retryAfterMsOf(response)); // prettier-ignore
    },
  };
}

function reasonOf({ status }: Response, text: string): string {
  try {
    return `${status} ${Refusal.parse(JSON.parse(text)).error.slice(0, 300)}`;
  } catch {
    return `HTTP ${status}`;
  }
}
