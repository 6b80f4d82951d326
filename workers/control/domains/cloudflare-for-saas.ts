// Cloudflare for SaaS: a zone's custom hostnames and their certificates, through Cloudflare's API.
import { askCloudflare } from "../cloudflare-request.ts";
import { z } from "zod";
import { WILDCARD } from "../../../core/domains/hostname.ts";
import type { Certificates, IssuedHostname } from "./certificates.ts";

const API = "https://api.cloudflare.com/client/v4";
const TIMEOUT_MS = 10_000;
/** "Duplicate custom hostname found." */
const DUPLICATE = 1406;

const Certificate = z.object({ issuer: z.string().nullish(), expires_on: z.string().nullish() });
const CustomHostname = z.object({
  id: z.string(),
  hostname: z.string(),
  status: z.string().nullish(),
  verification_errors: z.array(z.string()).nullish(),
  ssl: z
    .object({
      status: z.string().nullish(),
      wildcard: z.boolean().nullish(),
      issuer: z.string().nullish(),
      expires_on: z.string().nullish(),
      certificates: z.array(Certificate).nullish(),
      validation_errors: z.array(z.object({ message: z.string() })).nullish(),
      validation_records: z
        .array(z.object({ txt_name: z.string().nullish(), txt_value: z.string().nullish() }))
        .nullish(),
    })
    .nullish(),
});
type CustomHostname = z.infer<typeof CustomHostname>;
const Envelope = z.object({
  success: z.boolean().optional(),
  errors: z.array(z.object({ code: z.number(), message: z.string() })).nullish(),
  result: z.unknown().optional(),
});

interface Answer {
  readonly status: number;
  readonly ok: boolean;
  readonly result: unknown;
  readonly codes: readonly number[];
  readonly reason: string;
}

export interface CloudflareForSaas {
  readonly zone: string;
  readonly token: string;
  /** Absent: Cloudflare's own. */
  readonly api?: string;
}

export function cloudflareForSaas({ zone, token, api = API }: CloudflareForSaas): Certificates {
  const path = `${api}/zones/${encodeURIComponent(zone)}/custom_hostnames`;
  async function ask(method: string, rest: string, body?: unknown): Promise<Answer> {
    const response = await askCloudflare({ token, method, url: path + rest, body, timeoutMs: TIMEOUT_MS });
    return answerOf(response.status, await response.text());
  }
  return {
    async ensure(hostname) {
      const { name, ssl } = wishOf(hostname);
      const created = await ask("POST", "", { hostname: name, ssl });
      if (created.ok) return issued(created);
      if (created.status !== 409 && !created.codes.includes(DUPLICATE)) throw refused("create", created);
      const listed = await ask("GET", `?hostname=${encodeURIComponent(name)}`);
      if (!listed.ok) throw refused("list", listed);
      // The parameter matches parts of names too.
      const found = z
        .array(CustomHostname)
        .parse(listed.result)
        .find((one) => one.hostname === name);
      if (found === undefined) throw refused("create", created);
      if (!("wildcard" in ssl) || found.ssl?.wildcard === true) return shown(found);
      const widened = await ask("PATCH", `/${encodeURIComponent(found.id)}`, { ssl });
      if (!widened.ok) throw refused("widen", widened);
      return issued(widened);
    },
    async read(id) {
      const answer = await ask("GET", `/${encodeURIComponent(id)}`);
      if (answer.status === 404) return null;
      if (!answer.ok) throw refused("read", answer);
      return issued(answer);
    },
    async remove(id) {
      const answer = await ask("DELETE", `/${encodeURIComponent(id)}`);
      if (!answer.ok && answer.status !== 404) throw refused("remove", answer);
    },
  };
}

/** A wildcard is a hostname with a wider certificate there, which only TXT records can validate. */
function wishOf(hostname: string) {
  return hostname.startsWith(WILDCARD)
    ? { name: hostname.slice(WILDCARD.length), ssl: { method: "txt", type: "dv", wildcard: true } as const }
    : { name: hostname, ssl: { method: "http", type: "dv" } as const };
}

/** Deleting answers the bare id, without the envelope that everything else comes in. */
function answerOf(status: number, text: string): Answer {
  const parsed = Envelope.safeParse(jsonOf(text));
  const body = parsed.success ? parsed.data : {};
  const errors = body.errors ?? [];
  return {
    status,
    ok: status >= 200 && status < 300 && body.success !== false,
    result: body.result,
    codes: errors.map(({ code }) => code),
    reason: errors.map(({ code, message }) => `${code} ${message}`).join("; ") || `HTTP ${status}`,
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const refused = (verb: string, { reason }: Answer): Error =>
  new Error(`Cloudflare refused to ${verb} the custom hostname: ${reason.slice(0, 300)}`);
const issued = ({ result }: Answer): IssuedHostname => shown(CustomHostname.parse(result));

function shown({ id, status, ssl, verification_errors: unverified }: CustomHostname): IssuedHostname {
  // Two of one hostname (ECDSA and RSA): what runs out first counts.
  const all = ssl?.certificates ?? [];
  const dates = [ssl?.expires_on, ...all.map((one) => one.expires_on)].map((date) => Date.parse(date ?? ""));
  const expiresAtMs = Math.min(...dates.filter(Number.isFinite));
  const records = (ssl?.validation_records ?? []).flatMap(({ txt_name: name, txt_value: value }) =>
    name && value ? [{ name, value }] : [],
  );
  return {
    id,
    certificate: {
      hostnameStatus: status ?? "unknown",
      status: ssl?.status ?? "unknown",
      issuer: ssl?.issuer ?? all[0]?.issuer ?? null,
      expiresAtMs: Number.isFinite(expiresAtMs) ? expiresAtMs : null,
      records,
      errors: [...(unverified ?? []), ...(ssl?.validation_errors ?? []).map(({ message }) => message)].slice(0, 10),
      checkedAtMs: Date.now(),
    },
  };
}
