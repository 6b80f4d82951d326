// A zone at Cloudflare: its DNS records through Cloudflare's API. Never proxied: nodes are dialled at their own port.
import { askCloudflare } from "../cloudflare-request.ts";
import { z } from "zod";
import {
  DNS_TIMEOUT_MS,
  DnsRefused,
  RECORD_TTL_SECONDS,
  retryAfterMsOf,
  unreachable,
  type DnsZone,
} from "./dns-zone.ts";

const API = "https://api.cloudflare.com/client/v4";
/** "An identical record already exists." */
const IDENTICAL = 81058;
/** "Authentication error", "Unauthorized to access requested resource". */
const FORBIDDEN: readonly number[] = [10000, 9109];
const COMMENT = "berth node";

const Envelope = z.object({
  success: z.boolean().optional(),
  errors: z.array(z.object({ code: z.number(), message: z.string() })).nullish(),
  result: z.unknown().optional(),
});
const DnsRecord = z.object({ id: z.string(), name: z.string(), type: z.string(), content: z.string() });

export interface CloudflareDns {
  readonly zoneId: string;
  /** Permission: Zone, DNS, Edit; on this zone alone. */
  readonly token: string;
  /** Absent: Cloudflare's own. */
  readonly api?: string;
}

export function cloudflareDns({ zoneId, token, api = API }: CloudflareDns): DnsZone {
  const path = `${api}/zones/${encodeURIComponent(zoneId)}/dns_records`;
  async function ask(method: string, rest: string, body?: unknown): Promise<{ result: unknown; codes: number[] }> {
    const response = await askCloudflare({ token, method, url: path + rest, body, timeoutMs: DNS_TIMEOUT_MS }).catch(
      (error: unknown) => {
        throw unreachable("Cloudflare's API", error);
      },
    );
    const envelope = Envelope.catch({}).parse(await response.json().catch(() => ({})));
    const codes = (envelope.errors ?? []).map(({ code }) => code);
    const settled = (method === "DELETE" && response.status === 404) || codes.includes(IDENTICAL);
    if ((response.ok && envelope.success !== false) || settled) return { result: envelope.result, codes };
    throw refused(response, envelope.errors ?? []);
  }
  return {
    async set(name, type, values) {
      const query = new URLSearchParams({ name, type, per_page: "100" });
      const { result } = await ask("GET", `?${query}`);
      const present = z
        .array(DnsRecord)
        .parse(result)
        .filter((record) => record.name === name && record.type === type);
      const held = new Set(present.map(({ content }) => unquoted(content)));
      // New ones first: a name that is being moved is never without a record.
      for (const value of values) {
        if (held.has(value)) continue;
        const content = type === "TXT" ? `"${value}"` : value;
        await ask("POST", "", { type, name, content, ttl: RECORD_TTL_SECONDS, proxied: false, comment: COMMENT });
      }
      for (const { id, content } of present) {
        if (!values.includes(unquoted(content))) await ask("DELETE", `/${encodeURIComponent(id)}`);
      }
    },
  };
}

/** TXT records come back in quotes, or without them where they were made so. */
const unquoted = (content: string): string => content.replace(/^"(.*)"$/, "$1");

function refused(response: Response, errors: readonly { code: number; message: string }[]): DnsRefused {
  const reason = errors.map(({ code, message }) => `${code} ${message}`).join("; ") || `HTTP ${response.status}`;
  const isForbidden = response.status === 403 || errors.some(({ code }) => FORBIDDEN.includes(code));
  const advice = isForbidden ? " (the token needs the permission Zone / DNS / Edit on the nodes' zone)" : "";
  return new DnsRefused(
    `Cloudflare refused the DNS record: ${reason.slice(0, 300)}${advice}`,
    retryAfterMsOf(response),
  );
}
