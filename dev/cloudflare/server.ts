// A local stand-in for Cloudflare's API, written from its published contract: it checks tokens, permissions, fields and owners as strictly, and keeps what was made.
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { z } from "zod";
import { emptyCloud, type Account, type Cloud, type Token, type Zone } from "./account.ts";
import { accountEndpoints } from "./accounts.ts";
import { Refused, type Answer, type Endpoint } from "./contract.ts";
import { secretEndpoints } from "./secrets.ts";
import { storageEndpoints } from "./storage.ts";
import { workerEndpoints } from "./workers.ts";
import { certificateEndpoints, fallbackEndpoints, recordEndpoints, routeEndpoints } from "./zones.ts";

const BASE = "/client/v4";
/** Says of a token that is out of force that it is; everything else takes it for none. */
const VERIFY = "/user/tokens/verify";
const ENDPOINTS: readonly Endpoint[] = [
  ...accountEndpoints,
  ...storageEndpoints,
  ...workerEndpoints,
  ...secretEndpoints,
  ...recordEndpoints,
  ...routeEndpoints,
  ...certificateEndpoints,
  ...fallbackEndpoints,
];

export interface Standin {
  readonly cloud: Cloud;
  /** What CLOUDFLARE_API_BASE_URL is to be. */
  readonly url: string;
  /** Every call that came, as `METHOD /path`, with what was answered. */
  readonly calls: { readonly call: string; readonly status: number }[];
  /** The connection is cut instead of the next answer to a changing call that is for this path; what it asked for was done. */
  loseAnswerTo: RegExp | null;
  close(): Promise<void>;
}

export async function startCloudflare(port = 0): Promise<Standin> {
  const cloud = emptyCloud();
  const server = createServer((request, response) => {
    void answer(cloud, request).then(({ status, body, call }) => {
      standin.calls.push({ call, status });
      if (request.method !== "GET" && status < 300 && standin.loseAnswerTo?.test(call)) {
        standin.loseAnswerTo = null;
        return request.socket.destroy();
      }
      return response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const { port: bound } = server.address() as AddressInfo;
  const standin: Standin = {
    cloud,
    url: `http://127.0.0.1:${bound}${BASE}`,
    calls: [],
    loseAnswerTo: null,
    close: () => closed(server),
  };
  return standin;
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

interface Answered {
  readonly status: number;
  readonly body: unknown;
  readonly call: string;
}

async function answer(cloud: Cloud, request: IncomingMessage): Promise<Answered> {
  const url = new URL(request.url ?? "/", "http://cloudflare");
  const path = url.pathname.slice(BASE.length);
  const call = `${request.method} ${path}`;
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  try {
    const { result, resultInfo } = await handle(cloud, request, { url, path, bytes: Buffer.concat(chunks) });
    return {
      status: 200,
      call,
      body: { success: true, errors: [], messages: [], result, ...(resultInfo ? { result_info: resultInfo } : {}) },
    };
  } catch (error) {
    const refused =
      error instanceof Refused ? error : new Refused(500, 10_001, `the stand-in failed: ${String(error)}`);
    const errors = [{ code: refused.code, message: refused.message }];
    return { status: refused.status, call, body: { success: false, errors, messages: [], result: null } };
  }
}

interface Incoming {
  readonly url: URL;
  readonly path: string;
  readonly bytes: Buffer;
}

async function handle(cloud: Cloud, request: IncomingMessage, { url, path, bytes }: Incoming): Promise<Answer> {
  const token = cloud.tokens.get(/^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "");
  if (token === undefined) throw new Refused(401, 1000, "Invalid API Token");
  const found = endpointFor(request.method ?? "", path);
  if (found === null) throw new Refused(404, 7000, `No route for that URI: ${request.method} ${path}`);
  const { endpoint, params } = found;
  const { account, zone } = admit(cloud, token, endpoint, params);
  for (const name of url.searchParams.keys())
    if (!(endpoint.query ?? []).includes(name)) throw new Refused(400, 7003, `Unknown parameter: ${name}`);
  const type = request.headers["content-type"] ?? "";
  if (endpoint.isForm && !type.startsWith("multipart/form-data")) throw new Refused(400, 10_021, "A form is wanted.");
  const form = endpoint.isForm
    ? await new Response(new Uint8Array(bytes), { headers: { "content-type": type } }).formData()
    : null;
  const body = endpoint.body === undefined ? undefined : checked(endpoint.body, bytes, type);
  return endpoint.answer({ cloud, token, params, query: url.searchParams, body, form, account, zone });
}

function checked(schema: z.ZodType, bytes: Buffer, type: string): unknown {
  if (!type.startsWith("application/json")) throw new Refused(400, 6003, "Content-Type must be application/json.");
  const parsed = schema.safeParse(JSON.parse(bytes.toString() || "null"));
  if (!parsed.success) throw new Refused(400, 1004, `Validation failed: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function endpointFor(method: string, path: string): { endpoint: Endpoint; params: Record<string, string> } | null {
  for (const endpoint of ENDPOINTS) {
    if (endpoint.method !== method) continue;
    const pattern = endpoint.path.replace(/\{(\w+)\.\.\.\}/g, "(?<$1>.+)").replace(/\{(\w+)\}/g, "(?<$1>[^/]+)");
    const match = new RegExp(`^${pattern}$`).exec(path);
    if (match === null) continue;
    const params = Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]);
    return { endpoint, params: Object.fromEntries(params) as Record<string, string> };
  }
  return null;
}

/** Permission first, as the real one's gateway does: who may not, does not learn what is there. */
function admit(
  cloud: Cloud,
  token: Token,
  endpoint: Endpoint,
  params: Record<string, string>,
): { account: Account; zone: Zone } {
  if (token.status !== "active" && endpoint.path !== VERIFY) throw new Refused(401, 1000, "Invalid API Token");
  const { permission, method } = endpoint;
  const held = permission === null ? "Edit" : token.permissions[permission];
  if (held === undefined || (held === "Read" && method !== "GET"))
    throw new Refused(403, 10_000, "Authentication error");
  const zone = cloud.zones.find(({ id }) => id === params.zone);
  if (params.zone !== undefined && !token.zones.includes(params.zone))
    throw new Refused(403, 9109, "Unauthorized to access requested resource");
  if (params.zone !== undefined && zone === undefined) throw new Refused(404, 7003, "Could not route to this zone.");
  const account = cloud.accounts.find(({ id }) => id === params.account);
  if (params.account !== undefined && (account === undefined || !token.accounts.includes(params.account)))
    throw new Refused(403, 10_000, "Authentication error");
  // An endpoint reads only what its path names.
  return { account: account as Account, zone: zone as Zone };
}
