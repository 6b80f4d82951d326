// Plays the published contract of Cloudflare's custom hostnames: paths, status codes, envelopes and error codes as its documentation has them.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface PlayedHostname {
  readonly id: string;
  readonly hostname: string;
  status: string;
  ssl: Record<string, unknown>;
  readonly created_at: string;
  verification_errors?: string[];
}

export interface CustomHostnamesServer {
  readonly url: string;
  hostnames(): PlayedHostname[];
  /** What Cloudflare itself would change in time. */
  change(hostname: string, change: Record<string, unknown>): void;
  close(): Promise<void>;
}

interface Asked {
  readonly method: string;
  readonly id: string | null;
  readonly query: URLSearchParams;
  readonly body: { hostname?: string; ssl?: Record<string, unknown> } | null;
}
interface Said {
  readonly status: number;
  readonly body: unknown;
}

/** ssl of a new one by its method, as the documentation's examples show it. */
const PENDING = {
  http: {
    status: "pending_validation",
    validation_records: [
      { status: "pending", http_url: "http://app.example.com/.well-known/pki-validation/ca3.txt", http_body: "ca3-1" },
    ],
  },
  txt: {
    status: "pending_validation",
    validation_records: [
      { status: "pending", txt_name: "_acme-challenge.app.example.com", txt_value: "810b7d5f01154524b961ba0cd578acc2" },
    ],
  },
} as const;

export async function startCustomHostnames({
  zone,
  token,
}: {
  zone: string;
  token: string;
}): Promise<CustomHostnamesServer> {
  const all = new Map<string, PlayedHostname>();
  const server = createServer((request, response) => {
    void play(request, all, zone, token).then(({ status, body }) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/client/v4`,
    hostnames: () => [...all.values()],
    change(hostname, change) {
      for (const one of all.values()) {
        if (one.hostname === hostname) Object.assign(one, change, { ssl: { ...one.ssl, ...(change.ssl as object) } });
      }
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close").catch(() => undefined);
    },
  };
}

async function play(
  request: IncomingMessage,
  all: Map<string, PlayedHostname>,
  zone: string,
  token: string,
): Promise<Said> {
  const url = new URL(request.url ?? "/", "http://api");
  const match = /^\/client\/v4\/zones\/([^/]+)\/custom_hostnames(?:\/([^/]+))?$/.exec(url.pathname);
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  if (match === null) return failed(404, 7003, "Could not route, perhaps your object identifier is invalid?");
  if (request.headers.authorization !== `Bearer ${token}`) return failed(403, 9109, "Invalid access token");
  if (match[1] !== zone) return failed(403, 9109, "Unauthorized to access requested resource");
  const body = chunks.length === 0 ? null : (JSON.parse(Buffer.concat(chunks).toString()) as Asked["body"]);
  return answer({ method: request.method ?? "GET", id: match[2] ?? null, query: url.searchParams, body }, all);
}

function answer({ method, id, query, body }: Asked, all: Map<string, PlayedHostname>): Said {
  if (id === null && method === "POST") return create(body, all);
  if (id === null && method === "GET") {
    const part = query.get("hostname") ?? "";
    return done(
      200,
      [...all.values()].filter(({ hostname }) => hostname.includes(part)),
    );
  }
  const one = id === null ? undefined : all.get(id);
  if (one === undefined) return failed(404, 1436, "The custom hostname was not found.");
  switch (method) {
    case "GET":
      return done(200, one);
    case "PATCH":
      // Another method of validation begins it anew.
      one.ssl = { ...one.ssl, ...body?.ssl, ...(body?.ssl?.method === "txt" ? PENDING.txt : {}) };
      return done(202, one);
    case "DELETE":
      all.delete(one.id);
      return { status: 200, body: { id: one.id } };
    default:
      return failed(405, 10000, "Method not allowed");
  }
}

function create(body: Asked["body"], all: Map<string, PlayedHostname>): Said {
  const { hostname = "", ssl = {} } = body ?? {};
  if (hostname === "" || hostname.startsWith("*"))
    return failed(400, 1407, "Invalid custom hostname. Custom hostnames cannot contain any special characters.");
  if (/(?:^|\.)example\.(?:com|net|org)$/.test(hostname))
    return failed(400, 1411, "Custom hostnames ending in example.com, example.net, or example.org are prohibited.");
  if ([...all.values()].some((one) => one.hostname === hostname))
    return failed(409, 1406, "Duplicate custom hostname found.");
  const pending = PENDING[ssl.method === "txt" ? "txt" : "http"];
  const one: PlayedHostname = {
    id: randomUUID(),
    hostname,
    status: "pending",
    ssl: { id: randomUUID(), bundle_method: "ubiquitous", wildcard: false, ...ssl, ...pending },
    created_at: "2026-01-02T03:04:05.678901Z",
    verification_errors: ["custom hostname does not CNAME to this zone."],
  };
  all.set(one.id, one);
  return done(201, one);
}

const done = (status: number, result: unknown): Said => ({
  status,
  body: { success: true, errors: [], messages: [], result },
});
const failed = (status: number, code: number, message: string): Said => ({
  status,
  body: { success: false, errors: [{ code, message }], messages: [], result: null },
});
