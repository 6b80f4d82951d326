// Tokens, accounts, subscriptions, and what belongs to a zone: DNS records, Worker routes, certificate packs, the fallback origin.
import { z } from "zod";
import { newId, type DnsRecord, type Zone } from "./account.ts";
import { done, PAGE, pageOf, Refused, type Call, type Endpoint } from "./contract.ts";

const RECORDS = "/zones/{zone}/dns_records";
const ROUTES = "/zones/{zone}/workers/routes";
const PACKS = "/zones/{zone}/ssl/certificate_packs";
const FALLBACK = "/zones/{zone}/custom_hostnames/fallback_origin";

const RecordBody = z.strictObject({
  name: z.string().min(1).max(255),
  type: z.enum(["A", "AAAA", "CNAME", "TXT"]),
  content: z.string().min(1),
  ttl: z.union([z.literal(1), z.int().min(60).max(86_400)]),
  proxied: z.boolean().optional(),
  comment: z.string().max(100).optional(),
});
const RouteBody = z.strictObject({ pattern: z.string().min(1), script: z.string().optional() });
const PackOrder = z.strictObject({
  type: z.literal("advanced"),
  hosts: z.array(z.string()).min(1).max(50),
  validation_method: z.enum(["txt", "http", "email"]),
  validity_days: z.union([z.literal(14), z.literal(30), z.literal(90), z.literal(365)]),
  certificate_authority: z.enum(["google", "lets_encrypt", "ssl_com"]),
  cloudflare_branding: z.boolean().optional(),
});
const FallbackBody = z.strictObject({ origin: z.string() });

export const recordEndpoints: Endpoint[] = [
  {
    method: "GET",
    path: RECORDS,
    permission: "DNS",
    query: [...PAGE, "name", "type", "proxied", "comment.contains"],
    answer({ zone, query }) {
      const isProxied = query.get("proxied");
      const matches = zone.records.filter(
        (one) =>
          (query.get("name") ?? one.name) === one.name && (isProxied === null || String(one.proxied) === isProxied),
      );
      return pageOf(matches, query);
    },
  },
  {
    method: "POST",
    path: RECORDS,
    permission: "DNS",
    body: RecordBody,
    answer({ zone, body, cloud }) {
      const wanted = checkRecord(zone, body);
      if (zone.records.some((one) => one.name === wanted.name && (one.type === "CNAME" || wanted.type === "CNAME")))
        throw new Refused(400, 81053, "An A, AAAA, or CNAME record with that host already exists.");
      if (
        zone.records.some(
          (one) => one.name === wanted.name && one.type === wanted.type && one.content === wanted.content,
        )
      )
        throw new Refused(400, 81058, "An identical record already exists.");
      const made = { id: newId(cloud), ...wanted };
      zone.records.push(made);
      return done(made);
    },
  },
  {
    method: "PUT",
    path: `${RECORDS}/{record}`,
    permission: "DNS",
    body: RecordBody,
    answer(call) {
      const found = recordOf(call);
      Object.assign(found, checkRecord(call.zone, call.body));
      return done(found);
    },
  },
  {
    method: "DELETE",
    path: `${RECORDS}/{record}`,
    permission: "DNS",
    answer(call) {
      const found = recordOf(call);
      if (call.zone.fallbackOrigin === found.name)
        throw new Refused(400, 81061, "This record is the fallback origin of custom hostnames.");
      call.zone.records = call.zone.records.filter((one) => one !== found);
      return done({ id: found.id });
    },
  },
];

function checkRecord(zone: Zone, body: unknown): Omit<DnsRecord, "id"> {
  const { name, type, content, ttl, proxied = false, comment = null } = RecordBody.parse(body);
  if (name !== zone.name && !name.endsWith(`.${zone.name}`))
    throw new Refused(400, 9005, `DNS name ${name} is not in the zone ${zone.name}.`);
  if (type === "AAAA" && !content.includes(":"))
    throw new Refused(400, 9006, "Content for AAAA record is invalid. Must be a valid IPv6 address.");
  return { name, type, content, ttl, proxied, comment };
}

function recordOf({ zone, params }: Call): DnsRecord {
  const found = zone.records.find(({ id }) => id === params.record);
  if (found === undefined) throw new Refused(404, 81044, "Record does not exist.");
  return found;
}

export const routeEndpoints: Endpoint[] = [
  {
    method: "GET",
    path: ROUTES,
    permission: "Workers Routes",
    answer: ({ zone }) => done(zone.routes),
  },
  {
    method: "POST",
    path: ROUTES,
    permission: "Workers Routes",
    body: RouteBody,
    answer(call) {
      const { pattern, script } = checkRoute(call);
      if (call.zone.routes.some((one) => one.pattern === pattern))
        throw new Refused(409, 10020, "A route with the same pattern already exists.");
      const made = { id: newId(call.cloud), pattern, script: script ?? null };
      call.zone.routes.push(made);
      return done(made);
    },
  },
  {
    method: "PUT",
    path: `${ROUTES}/{route}`,
    permission: "Workers Routes",
    body: RouteBody,
    answer(call) {
      const found = call.zone.routes.find(({ id }) => id === call.params.route);
      if (found === undefined) throw new Refused(404, 10007, "Route not found.");
      const { pattern, script } = checkRoute(call);
      Object.assign(found, { pattern, script: script ?? null });
      return done(found);
    },
  },
  {
    method: "DELETE",
    path: `${ROUTES}/{route}`,
    permission: "Workers Routes",
    answer({ zone, params }) {
      const before = zone.routes.length;
      zone.routes = zone.routes.filter(({ id }) => id !== params.route);
      if (zone.routes.length === before) throw new Refused(404, 10007, "Route not found.");
      return done({ id: params.route });
    },
  },
];

/** A route's host must be of the zone, or `*`; its Worker must be there. */
function checkRoute({ zone, body, cloud }: Call): z.infer<typeof RouteBody> {
  const route = RouteBody.parse(body);
  const host = route.pattern.split("/")[0]?.replace(/^\*\.?/, "") ?? "";
  if (host !== "" && host !== zone.name && !host.endsWith(`.${zone.name}`))
    throw new Refused(400, 10022, `The pattern ${route.pattern} is not of the zone ${zone.name}.`);
  const account = cloud.accounts.find(({ id }) => id === zone.accountId);
  if (route.script !== undefined && account?.scripts.has(route.script) !== true)
    throw new Refused(400, 10007, `The script ${route.script} does not exist.`);
  return route;
}

export const certificateEndpoints: Endpoint[] = [
  {
    method: "GET",
    path: PACKS,
    permission: "SSL and Certificates",
    query: [...PAGE, "status", "deploy"],
    answer: ({ zone, query }) => pageOf(zone.packs, query),
  },
  {
    method: "POST",
    path: `${PACKS}/order`,
    permission: "SSL and Certificates",
    body: PackOrder,
    answer({ zone, body, cloud }) {
      const { hosts, type } = body as z.infer<typeof PackOrder>;
      if (!zone.hasAdvancedCertificates)
        throw new Refused(400, 1450, "Advanced Certificate Manager is required to order this certificate pack.");
      if (!hosts.includes(zone.name)) throw new Refused(400, 1408, "The hosts must contain the zone's apex.");
      const strange = hosts.find((host) => host !== zone.name && !host.endsWith(`.${zone.name}`));
      if (strange !== undefined) throw new Refused(400, 1408, `${strange} is not of this zone.`);
      const made = { id: newId(cloud), hosts, type, status: "pending_validation" };
      zone.packs.push(made);
      return done(made);
    },
  },
  {
    method: "DELETE",
    path: `${PACKS}/{pack}`,
    permission: "SSL and Certificates",
    answer({ zone, params }) {
      const found = zone.packs.find(({ id }) => id === params.pack);
      if (found === undefined) throw new Refused(404, 1415, "Certificate pack not found.");
      zone.packs = zone.packs.filter((one) => one !== found);
      return done({ id: found.id });
    },
  },
];

export const fallbackEndpoints: Endpoint[] = [
  {
    method: "GET",
    path: FALLBACK,
    permission: "SSL and Certificates",
    answer({ zone }) {
      if (!zone.hasCustomHostnames)
        throw new Refused(403, 1404, "No custom hostname access has been allocated for this zone.");
      if (zone.fallbackOrigin === null) throw new Refused(404, 1551, "Resource not found: fallback origin.");
      return done({ origin: zone.fallbackOrigin, status: "active" });
    },
  },
  {
    method: "PUT",
    path: FALLBACK,
    permission: "SSL and Certificates",
    body: FallbackBody,
    answer({ zone, body }) {
      const { origin } = body as z.infer<typeof FallbackBody>;
      if (!zone.hasCustomHostnames)
        throw new Refused(403, 1404, "No custom hostname access has been allocated for this zone.");
      if (!zone.records.some(({ name, proxied }) => name === origin && proxied))
        throw new Refused(400, 1552, "The fallback origin must be a proxied DNS record of this zone.");
      zone.fallbackOrigin = origin;
      return done({ origin, status: "initializing" });
    },
  },
  {
    method: "DELETE",
    path: FALLBACK,
    permission: "SSL and Certificates",
    answer({ zone }) {
      if (zone.fallbackOrigin === null) throw new Refused(404, 1551, "Resource not found: fallback origin.");
      zone.fallbackOrigin = null;
      return done({ status: "pending_deletion" });
    },
  },
];
