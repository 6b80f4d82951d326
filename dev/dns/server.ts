// Zones of its own, asked over HTTPS' wire format (RFC 8484) and over UDP: what a resolver on the internet is to production. With
// a key, records are replaced over HTTP too, as PowerDNS has it.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { AUTHORITATIVE_ANSWER, decode, encode, RECURSION_AVAILABLE, type Answer, type Question } from "dns-packet";
import { servePowerDns } from "./powerdns-api.ts";
import type { Zone, ZoneRecord } from "./zone.ts";

const MEDIA_TYPE = "application/dns-message";
const NXDOMAIN = 3;
const SERVFAIL = 2;
const BYTES_MAX = 4_096;

export interface DnsServer {
  /** For DOH_URL. */
  readonly url: string;
  /** host:port of plain DNS over UDP. */
  readonly address: string;
  /** For POWERDNS_URL. */
  readonly apiUrl: string;
  /** broken: SERVFAIL to every question. */
  setMode(mode: "answering" | "broken"): void;
  close(): Promise<void>;
}

/** Answers for names in no zone: that they do not exist. */
export async function startDnsServer(zones: readonly Zone[], port = 0, apiKey = ""): Promise<DnsServer> {
  let broken = false;
  const answer = (message: Buffer): Buffer | null => answerTo(message, zones, broken);
  const server = createServer((request, response) => {
    void serve(request, response, answer, zones, apiKey).catch(() => response.writeHead(400).end());
  });
  server.listen(port, "127.0.0.1");
  const udp = createSocket("udp4", (message, { address, port: from }) => {
    const said = answer(message);
    if (said !== null) udp.send(said, from, address);
  });
  udp.bind(0, "127.0.0.1");
  await Promise.all([once(server, "listening"), once(udp, "listening")]);
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `${origin}/dns-query`,
    address: `127.0.0.1:${udp.address().port}`,
    apiUrl: origin,
    setMode: (mode) => void (broken = mode === "broken"),
    async close() {
      udp.close();
      server.close();
      server.closeAllConnections();
      await once(server, "close").catch(() => undefined);
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (message: Buffer) => Buffer | null,
  zones: readonly Zone[],
  apiKey: string,
): Promise<void> {
  if (apiKey !== "" && (await servePowerDns(request, response, zones, apiKey))) return;
  const body = answer(await messageOf(request));
  if (body === null) return void response.writeHead(400).end();
  response.writeHead(200, { "content-type": MEDIA_TYPE, "content-length": body.length }).end(body);
}

/** Null: it is no question. */
function answerTo(message: Buffer, zones: readonly Zone[], isBroken: boolean): Buffer | null {
  const query = parsed(message);
  const question = query?.questions?.[0];
  if (query === null || question === undefined) return null;
  const zone = zones.find((one) => one.has(question.name.toLowerCase()));
  const said = isBroken ? { rcode: SERVFAIL, answers: [] } : lookUp(zone, question);
  const flags = AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | said.rcode;
  const nothing = said.answers.every((one) => one.type !== question.type);
  const authorities = zone === undefined || said.rcode === SERVFAIL || !nothing ? [] : [soaOf(zone)];
  const packet = {
    type: "response",
    id: query.id ?? 0,
    flags,
    questions: [question],
    answers: said.answers,
    authorities,
  };
  return encode(packet as Parameters<typeof encode>[0]);
}

function parsed(message: Buffer): ReturnType<typeof decode> | null {
  try {
    return decode(message);
  } catch {
    return null;
  }
}

/** POST has the message as its body, GET in `dns`. */
async function messageOf(request: IncomingMessage): Promise<Buffer> {
  if (request.method === "GET") {
    const dns = new URL(request.url ?? "/", "http://dns").searchParams.get("dns") ?? "";
    return Buffer.from(dns, "base64url");
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BYTES_MAX) throw new Error("too long a message");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function lookUp(zone: Zone | undefined, { name, type }: Question): { rcode: number; answers: Answer[] } {
  const found = zone?.find(name.toLowerCase(), type) ?? { exists: false, records: [] };
  return { rcode: found.exists ? 0 : NXDOMAIN, answers: found.records.map(answerOf) };
}

const TXT_PIECE_LENGTH = 255;

function answerOf({ name, type, value, ttlSeconds: ttl }: ZoneRecord): Answer {
  if (type !== "TXT") return { name, type, ttl, data: value } as Answer;
  const pieces: string[] = [];
  for (let at = 0; at === 0 || at < value.length; at += TXT_PIECE_LENGTH)
    pieces.push(value.slice(at, at + TXT_PIECE_LENGTH));
  return { name, type, ttl, data: pieces };
}

const soaOf = ({ name, negativeTtlSeconds: ttl }: Zone): Answer => ({
  name,
  type: "SOA",
  ttl,
  data: {
    mname: `ns.${name}`,
    rname: `admin.${name}`,
    serial: 1,
    refresh: 3_600,
    retry: 600,
    expire: 86_400,
    minimum: ttl,
  },
});
