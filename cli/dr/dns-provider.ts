// Where the zone is: Cloudflare's API, or PowerDNS's for a zone that lives elsewhere. A name's records are replaced as a whole.
import { z } from "zod";
import { CommandFailure, EXIT } from "../failure.ts";
import type { Change } from "./records.ts";

/** What was there, and can be put back. */
export interface Replaced {
  readonly name: string;
  readonly type: string;
  readonly content: string;
}

export interface DnsProvider {
  /** Sets these, and removes what would stand beside them (A, AAAA, CNAME of the same name). Answers what was there. */
  replace(changes: readonly Change[]): Promise<Replaced[]>;
}

export interface ProviderWish {
  readonly kind: "cloudflare" | "powerdns";
  readonly token: string;
  readonly url: string;
  readonly zone: string;
}

const TIMEOUT_MS = 15_000;
const STEERING = ["A", "AAAA", "CNAME"];

export const dnsProvider = (wish: ProviderWish): DnsProvider =>
  wish.kind === "cloudflare" ? cloudflare(wish) : powerDns(wish);

const Envelope = z.object({
  success: z.boolean().optional(),
  errors: z.array(z.object({ code: z.number(), message: z.string() })).nullish(),
  result: z.unknown().optional(),
});
const CloudflareRecord = z.object({ id: z.string(), name: z.string(), type: z.string(), content: z.string() });

function cloudflare({ token, url, zone }: ProviderWish): DnsProvider {
  async function call<Schema extends z.ZodType>(schema: Schema, method: string, path: string, body?: object) {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await ask("Cloudflare's API", `${url}${path}`, method, headers, body);
    const { success, errors, result } = Envelope.catch({}).parse(jsonOf(answer.text));
    if (answer.ok && success !== false) return schema.parse(result);
    const said = (errors ?? []).map(({ code, message }) => `${message} [${code}]`).join("; ");
    return refuse("Cloudflare", said || `HTTP ${answer.status}`, "The token needs Zone / DNS / Edit on this zone.");
  }
  return {
    async replace(changes) {
      const [found] = await call(
        z.array(z.object({ id: z.string() })),
        "GET",
        `/zones?name=${encodeURIComponent(zone)}`,
      );
      if (found === undefined) return refuse("Cloudflare", `this token sees no zone ${zone}`, "Name it with --zone.");
      const records = `/zones/${found.id}/dns_records`;
      const before: Replaced[] = [];
      for (const name of new Set(changes.map((change) => change.name))) {
        const query = new URLSearchParams({ name, per_page: "100" });
        const present = (await call(z.array(CloudflareRecord), "GET", `${records}?${query}`)).filter(
          (record) => record.name === name && STEERING.includes(record.type),
        );
        before.push(...present.map(({ type, content }) => ({ name, type, content })));
        // A CNAME and addresses exclude each other, so that what is there goes first: seconds, in which resolvers have the old one.
        for (const { id } of present) await call(z.unknown(), "DELETE", `${records}/${id}`);
        for (const { type, values, ttlSeconds: ttl } of changes.filter((change) => change.name === name))
          for (const content of values)
            await call(z.unknown(), "POST", records, { type, name, content, ttl, proxied: false });
      }
      return before;
    },
  };
}

const PowerDnsZone = z.object({
  rrsets: z.array(
    z.object({ name: z.string(), type: z.string(), records: z.array(z.object({ content: z.string() })) }),
  ),
});

function powerDns({ token, url, zone }: ProviderWish): DnsProvider {
  const path = `${url}/api/v1/servers/localhost/zones/${encodeURIComponent(`${zone}.`)}`;
  const headers = { "x-api-key": token, "content-type": "application/json" };
  async function call(method: string, body?: object): Promise<string> {
    const answer = await ask("PowerDNS", path, method, headers, body);
    return answer.ok ? answer.text : refuse("PowerDNS", `HTTP ${answer.status} ${answer.text.slice(0, 200)}`, null);
  }
  return {
    async replace(changes) {
      const names = new Set(changes.map(({ name }) => name));
      // A server that lists nothing is changed all the same: what was there is then not told.
      const { rrsets } = PowerDnsZone.catch({ rrsets: [] }).parse(jsonOf(await call("GET").catch(() => "")));
      const present = rrsets.filter(({ name, type }) => names.has(name.replace(/\.$/, "")) && STEERING.includes(type));
      const wanted = new Set(changes.map(({ name, type }) => `${name}. ${type}`));
      const gone = present.filter(({ name, type }) => !wanted.has(`${name} ${type}`));
      const sets = changes.map(({ name, type, values, ttlSeconds: ttl }) => ({
        ...{ name: `${name}.`, type, ttl, changetype: "REPLACE" },
        records: values.map((content) => ({ content, disabled: false })),
      }));
      // One change, so that no name is without a record in between.
      await call("PATCH", {
        rrsets: [...gone.map(({ name, type }) => ({ name, type, changetype: "DELETE" })), ...sets],
      });
      return present.flatMap(({ name, type, records }) =>
        records.map(({ content }) => ({ name: name.replace(/\.$/, ""), type, content })),
      );
    },
  };
}

async function ask(who: string, url: string, method: string, headers: Record<string, string>, body?: object) {
  const wish = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  try {
    const response = await fetch(url, { ...wish, signal: AbortSignal.timeout(TIMEOUT_MS) });
    return { ok: response.ok, status: response.status, text: await response.text() };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandFailure(
      `${who} cannot be reached: ${why}`,
      EXIT.unreachable,
      "Make the change by hand, as printed.",
    );
  }
}

function refuse(who: string, said: string, hint: string | null): never {
  throw new CommandFailure(`${who} refused: ${said}`, EXIT.failed, hint);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
