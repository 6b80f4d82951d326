// The part of PowerDNS's HTTP API by which records are replaced, over zones of our own: PATCH …/zones/{zone} with rrsets, and GET for what is there.
import type { IncomingMessage, ServerResponse } from "node:http";
import { z } from "zod";
import type { Zone } from "./zone.ts";

const PATH = /^\/api\/v1\/servers\/localhost\/zones\/([^/]+)$/;
const BYTES_MAX = 65_536;

const Change = z.object({
  rrsets: z.array(
    z.discriminatedUnion("changetype", [
      z.object({ changetype: z.literal("DELETE"), name: z.string(), type: z.enum(["A", "AAAA", "TXT", "CNAME"]) }),
      z.object({
        changetype: z.literal("REPLACE"),
        name: z.string(),
        type: z.enum(["A", "AAAA", "TXT", "CNAME"]),
        ttl: z.int().positive(),
        records: z.array(z.object({ content: z.string(), disabled: z.literal(false).default(false) })),
      }),
    ]),
  ),
});

/** False: it is not for this API. */
export async function servePowerDns(
  request: IncomingMessage,
  response: ServerResponse,
  zones: readonly Zone[],
  apiKey: string,
): Promise<boolean> {
  const match = PATH.exec(request.url ?? "");
  if (match === null) return false;
  const refuse = (status: number, error: string): true => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error }));
    return true;
  };
  if (request.headers["x-api-key"] !== apiKey) {
    response.writeHead(401).end("Unauthorized");
    return true;
  }
  const zone = zones.find(({ name }) => `${name}.` === decodeURIComponent(match[1] ?? ""));
  if (zone === undefined) return refuse(404, "Could not find domain");
  if (request.method === "GET") {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ rrsets: setsOf(zone) }));
    return true;
  }
  if (request.method !== "PATCH") return refuse(405, "Method Not Allowed");
  const parsed = Change.safeParse(await jsonOf(request));
  if (!parsed.success) return refuse(422, z.prettifyError(parsed.error));
  for (const { name } of parsed.data.rrsets) {
    if (!name.endsWith(".") || !zone.has(name.slice(0, -1).toLowerCase()))
      return refuse(422, `RRset ${name} IN: Name is out of zone`);
  }
  for (const change of parsed.data.rrsets) apply(zone, change);
  response.writeHead(204).end();
  return true;
}

/** One for each name and type. */
function setsOf(zone: Zone): object[] {
  const sets = new Map<string, { name: string; type: string; ttl: number; records: object[] }>();
  for (const { name, type, value, ttlSeconds: ttl } of zone.list()) {
    const key = `${name} ${type}`;
    const set = sets.get(key) ?? { name: `${name}.`, type, ttl, records: [] };
    set.records.push({ content: type === "TXT" ? `"${value}"` : value, disabled: false });
    sets.set(key, set);
  }
  return [...sets.values()];
}

function apply(zone: Zone, change: z.infer<typeof Change>["rrsets"][number]): void {
  const name = change.name.slice(0, -1).toLowerCase();
  if (change.changetype === "DELETE") return zone.set(name, change.type, []);
  const values = change.records.map(({ content }) =>
    change.type === "TXT" ? content.replace(/^"(.*)"$/, "$1") : content,
  );
  zone.set(name, change.type, values, change.ttl);
}

async function jsonOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BYTES_MAX) throw new Error("too long a body");
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return null;
  }
}
