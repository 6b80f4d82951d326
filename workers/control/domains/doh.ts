// DNS over HTTPS (RFC 8484): any resolver that speaks it; the wire format is dns-packet's.
import { decode, encode, RECURSION_DESIRED, type Answer, type DecodedPacket } from "dns-packet";
import type { Dns, DnsAnswer, RecordType } from "./dns.ts";

export const DEFAULT_DOH_URL = "https://cloudflare-dns.com/dns-query";
/** Resolvers give up on name servers after some seconds; somebody may be waiting for the answer. */
const TIMEOUT_MS = 4_000;
const TRIES_MAX = 2;
/** The most a DNS message can have. */
const BYTES_MAX = 65_535;
const MEDIA_TYPE = "application/dns-message";

export function dnsOverHttps(url: string): Dns {
  return {
    async ask(name, type) {
      let message = "";
      for (let tries = 0; tries < TRIES_MAX; tries += 1) {
        try {
          return answerOf(await exchange(url, name, type), name, type);
        } catch (error) {
          message = whyNoAnswer(error);
        }
      }
      return { kind: "failed", message };
    },
  };
}

async function exchange(url: string, name: string, type: RecordType): Promise<DecodedPacket> {
  // Id 0, as the RFC has it; POST, because an answer from a cache on the way would not be of now.
  const query = encode({ type: "query", id: 0, flags: RECURSION_DESIRED, questions: [{ type, name }] });
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": MEDIA_TYPE, accept: MEDIA_TYPE },
    body: Uint8Array.from(query),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok || response.headers.get("content-type") !== MEDIA_TYPE) {
    await response.body?.cancel();
    throw new OutOfOrder(response.ok ? "it answered something else than DNS" : `it answered HTTP ${response.status}`);
  }
  const body = await response.arrayBuffer();
  if (body.byteLength > BYTES_MAX) throw new OutOfOrder("its answer was longer than DNS allows");
  return decode(Buffer.from(body));
}

/** What it answered is no DNS. */
class OutOfOrder extends Error {}

/** Nothing of the zone: it is our resolver, or the way to it. */
function whyNoAnswer(error: unknown): string {
  if (error instanceof OutOfOrder) return `our resolver is out of order (${error.message})`;
  const isLate = error instanceof Error && error.name === "TimeoutError";
  return isLate ? `our resolver did not answer within ${TIMEOUT_MS / 1_000} s` : "our resolver could not be reached";
}

/** By the code of RFC 1035, in words; with the code, for who looks it up. */
function whyRefused(rcode: string): string {
  if (rcode === "SERVFAIL") {
    return "the zone's name servers are silent or contradict each other, or its DNSSEC signatures are wrong (SERVFAIL)";
  }
  if (rcode === "REFUSED") return "the zone's name servers do not answer for it (REFUSED)";
  return `the question was not understood (${rcode})`;
}

function answerOf(packet: DecodedPacket, name: string, type: RecordType): DnsAnswer {
  // The types leave it out; the decoder sets it.
  const { rcode } = packet as DecodedPacket & { rcode: string };
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") return { kind: "failed", message: whyRefused(rcode) };
  const answers = packet.answers ?? [];
  const aliases = aliasesOf(answers, name);
  const owner = aliases.at(-1) ?? canonical(name);
  const records: string[] = [];
  const ttls: number[] = [];
  for (const answer of answers) {
    if ("ttl" in answer && answer.ttl !== undefined) ttls.push(answer.ttl);
    const text = type === "CNAME" || canonical(answer.name) === owner ? textOf(answer, type) : null;
    if (text !== null) records.push(text);
  }
  const soa = packet.authorities?.find((authority) => authority.type === "SOA");
  const zone = soa === undefined ? null : canonical(soa.name);
  if (ttls.length === 0 && soa?.type === "SOA") ttls.push(Math.min(soa.ttl ?? Infinity, soa.data.minimum ?? Infinity));
  const ttlSeconds = Math.min(...ttls);
  return {
    kind: "answered",
    records,
    aliases,
    zone: zone !== null && `.${canonical(name)}`.endsWith(`.${zone}`) ? zone : null,
    ttlSeconds: Number.isFinite(ttlSeconds) ? ttlSeconds : null,
  };
}

/** In any order they may come in; a circle ends at its first repetition. */
function aliasesOf(answers: readonly Answer[], name: string): string[] {
  const next = new Map<string, string>();
  for (const answer of answers) if (answer.type === "CNAME") next.set(canonical(answer.name), canonical(answer.data));
  const aliases: string[] = [];
  for (let at = next.get(canonical(name)); at !== undefined && !aliases.includes(at); at = next.get(at))
    aliases.push(at);
  return aliases;
}

function textOf(answer: Answer, type: RecordType): string | null {
  if (answer.type !== type) return null;
  switch (answer.type) {
    case "TXT": {
      // A text beyond 255 bytes comes in pieces that belong together.
      const pieces = Array.isArray(answer.data) ? answer.data : [answer.data];
      return pieces.map((piece) => (typeof piece === "string" ? piece : new TextDecoder().decode(piece))).join("");
    }
    case "CNAME":
      return canonical(answer.data);
    case "A":
    case "AAAA":
      return answer.data;
    default:
      return null;
  }
}

const canonical = (name: string): string => name.toLowerCase().replace(/\.$/, "");
