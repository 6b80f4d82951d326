// Plays the published contract of Cloudflare's DNS records: paths, status codes, envelopes and error codes as its documentation has them.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface PlayedRecord {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly content: string;
  readonly ttl: number;
  readonly proxied: boolean;
}

interface Said {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
}

export interface DnsRecordsServer {
  readonly url: string;
  records(): PlayedRecord[];
  /** Every request is answered with 429 while it is limited. */
  setLimited(limited: boolean): void;
  requests(): number;
  close(): Promise<void>;
}

const PATH = /^\/client\/v4\/zones\/([^/]+)\/dns_records(?:\/([^/]+))?$/;

export async function startDnsRecords({ zone, token }: { zone: string; token: string }): Promise<DnsRecordsServer> {
  const all = new Map<string, PlayedRecord>();
  let limited = false;
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    const played = limited
      ? Promise.resolve({
          ...failed(429, 10429, "You have exceeded the limit"),
          headers: { "retry-after": "17" },
        } as Said)
      : play(request, all, zone, token);
    void played.then(({ status, body, headers }) => {
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/client/v4`,
    records: () => [...all.values()],
    setLimited: (now) => void (limited = now),
    requests: () => requests,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close").catch(() => undefined);
    },
  };
}

async function play(
  request: IncomingMessage,
  all: Map<string, PlayedRecord>,
  zone: string,
  token: string,
): Promise<Said> {
  const url = new URL(request.url ?? "/", "http://api");
  const match = PATH.exec(url.pathname);
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  if (match === null) return failed(404, 7003, "Could not route, perhaps your object identifier is invalid?");
  if (request.headers.authorization !== `Bearer ${token}`) return failed(403, 10000, "Authentication error");
  if (match[1] !== zone) return failed(403, 9109, "Unauthorized to access requested resource");
  const id = match[2] ?? null;
  switch (request.method) {
    case "GET": {
      const wanted = [...all.values()].filter(
        ({ name, type }) => name === url.searchParams.get("name") && type === url.searchParams.get("type"),
      );
      return done(wanted);
    }
    case "POST":
      return create(JSON.parse(Buffer.concat(chunks).toString()) as Omit<PlayedRecord, "id">, all);
    case "DELETE":
      if (id === null || !all.delete(id)) return failed(404, 81044, "Record does not exist.");
      return done({ id });
    default:
      return failed(405, 10405, "Method not allowed for this authentication scheme");
  }
}

function create({ name, type, content, ttl, proxied }: Omit<PlayedRecord, "id">, all: Map<string, PlayedRecord>): Said {
  if (ttl !== 1 && (ttl < 60 || ttl > 86_400)) return failed(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic."); // prettier-ignore
  const same = [...all.values()].find((one) => one.name === name && one.type === type && one.content === content);
  if (same !== undefined) return failed(400, 81058, "An identical record already exists.");
  const record = { id: randomUUID().replaceAll("-", ""), name, type, content, ttl, proxied };
  all.set(record.id, record);
  return done(record);
}

const done = (result: unknown): Said => ({
  status: 200,
  body: { success: true, errors: [], messages: [], result },
});
const failed = (status: number, code: number, message: string): Said => ({
  status,
  body: { success: false, errors: [{ code, message }], messages: [], result: null },
});
