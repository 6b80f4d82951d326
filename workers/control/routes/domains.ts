// Custom domains of an app: added, looked at, verified, removed. The DNS proves whose they are; Postgres says who has them.
import { createRoute, z } from "@hono/zod-openapi";
import { page, PageQuery } from "../../../contracts/api.ts";
import { Domain, DomainAdd } from "../../../contracts/domains.ts";
import { blockedText } from "../../../core/domains/explain.ts";
import { domainLimits } from "../../../core/domains/limits.ts";
import type { AppRecord } from "../../../db/queries/apps.ts";
import { findHold } from "../../../db/queries/domain-holds.ts";
import { addDomain, findDomain, listDomains, removeDomain, type DomainRecord } from "../../../db/queries/domains.ts";
import { appOf } from "../apps/find-app.ts";
import { hostnameAsked, refuseReserved } from "../domains/ask-hostname.ts";
import { check, settleHostname, targetAt, targetOf } from "../domains/check.ts";
import { blockedBy, type Shown, shownDomain } from "../domains/show.ts";
import type { ControlEnv } from "../env.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { quotaPolicy } from "../quota/policy.ts";
import { withinQuota } from "../quota/refuse.ts";
import { databaseOf } from "../http/database.ts";
import { aboutDeed, byOf } from "../http/deed.ts";
import { writeOnce } from "../http/idempotency.ts";
import { fail } from "../http/problem.ts";
import {
  AppParam,
  IdempotencyHeader,
  json,
  jsonBody,
  READ_PROBLEMS,
  SIGNED_IN,
  unwrap,
  WRITE_PROBLEMS,
} from "../http/respond.ts";
import { ingressZoneOf } from "../names/ingress-zone.ts";

const tags = ["Domains"];
const security = SIGNED_IN;
const params = AppParam.extend({
  hostname: z.string().min(1).max(1_024).meta({ description: "In any spelling; `*.example.com` for a wildcard." }),
});

const listDomainsRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/domains",
  operationId: "listDomains",
  tags,
  security,
  summary: "List an app's custom domains",
  request: { params: AppParam, query: PageQuery },
  responses: { 200: json(page(Domain), "A page of them, by hostname, as they were last seen."), ...READ_PROBLEMS },
});
const addDomainRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/domains",
  operationId: "addDomain",
  tags,
  security,
  summary: "Add a custom domain",
  description:
    "Answers the records that have to be made, and looks at once whether they are there. It serves as soon as its TXT record is seen: by " +
    "itself, or when verified. Adding it again answers what is there.",
  request: { params: AppParam, headers: IdempotencyHeader, ...jsonBody(DomainAdd) },
  responses: { 201: json(Domain, "The domain, with what to do."), ...WRITE_PROBLEMS },
});
const readDomainRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/domains/{hostname}",
  operationId: "readDomain",
  tags,
  security,
  summary: "Read a custom domain",
  request: { params },
  responses: { 200: json(Domain, "The domain as it was last seen."), ...READ_PROBLEMS },
});
const verifyDomainRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/domains/{hostname}/verify",
  operationId: "verifyDomain",
  tags,
  security,
  summary: "Look at a custom domain's records now",
  request: { params },
  responses: { 200: json(Domain, "The domain as it is now, with what is left to do."), ...READ_PROBLEMS },
});
const removeDomainRoute = createRoute({
  method: "delete",
  path: "/v1/apps/{app}/domains/{hostname}",
  operationId: "removeDomain",
  tags,
  security,
  summary: "Remove a custom domain",
  description:
    "It stops serving, and rests: other teams cannot have it for a while. This team may take it back at once, with a fresh proof.",
  request: { params, headers: IdempotencyHeader },
  responses: { 204: { description: "Removed." }, ...READ_PROBLEMS },
});

export const domains = newApi()
  .openapi(listDomainsRoute, async (c) => {
    const app = await appOf(c, c.req.valid("param").app);
    const rows = unwrap(await listDomains(databaseOf(c.env), { team: app.team, app: app.id }, c.req.valid("query")));
    const how = shownWith(c.env, targetAt(c.env, app.hostnames));
    const items = rows.items.map((row) => shownDomain(row, how, Date.now()));
    return c.json({ items, nextCursor: rows.nextCursor }, 200);
  })
  .openapi(addDomainRoute, async (c) => {
    const hostname = hostnameAsked(c.req.valid("json").hostname, "/hostname");
    refuseReserved(c.env, c.req.url, hostname, "/hostname");
    const app = await appOf(c, c.req.valid("param").app);
    const input = { app: app.id, hostname };
    const act = (): Promise<Domain> => add(c, app, hostname);
    const domain = await writeOnce(c, { operation: "domain.add", input, prefix: "dom", act });
    c.header("location", `/v1/apps/${app.id}/domains/${hostname}`);
    return c.json(domain, 201);
  })
  .openapi(readDomainRoute, async (c) => c.json(await shown(c, await domainOf(c, c.req.valid("param"))), 200))
  .openapi(verifyDomainRoute, async (c) => {
    const param = c.req.valid("param");
    const before = await domainOf(c, param);
    const after = await check(c.env, before, byOf(c));
    return c.json(await shown(c, after ?? unknown(before.hostname)), 200);
  })
  .openapi(removeDomainRoute, async (c) => {
    const param = c.req.valid("param");
    const app = await appOf(c, param.app);
    const hostname = hostnameAsked(param.hostname, "path:hostname");
    const restsUntilMs = Date.now() + domainLimits(c.env.TUNING).domainRestMs;
    const own = { team: app.team, app: app.id, hostname };
    const removed = await removeDomain(databaseOf(c.env), { ...byOf(c), ...own, restsUntilMs });
    if (!removed) unknown(hostname);
    await settleHostname(c.env, hostname);
    return c.body(null, 204);
  });

const unknown = (hostname: string): never => fail("not_found", `The app has no domain ${hostname}.`);

async function domainOf(c: ControlRequest, param: { app: string; hostname: string }): Promise<DomainRecord> {
  const app = await appOf(c, param.app);
  const hostname = hostnameAsked(param.hostname, "path:hostname");
  return (await findDomain(databaseOf(c.env), app.team, app.id, hostname)) ?? unknown(hostname);
}

async function shown(c: ControlRequest, row: DomainRecord): Promise<Domain> {
  return shownDomain(row, shownWith(c.env, await targetOf(c.env, row)), Date.now());
}

const shownWith = (env: ControlEnv, target: string): Shown => ({
  ...{ target, ingressZone: ingressZoneOf(env), limits: domainLimits(env.TUNING) },
});

/** Another team's hostname is refused before anything is stored; who has it is not said. */
async function add(c: ControlRequest, app: AppRecord, hostname: string): Promise<Domain> {
  const database = databaseOf(c.env);
  const limits = domainLimits(c.env.TUNING);
  aboutDeed(c, { subject: hostname });
  const nowMs = Date.now();
  const blocked = blockedBy(await findHold(database, hostname), app.team, nowMs);
  if (blocked !== null) {
    const outcome = blocked.reason === "taken" ? "name_taken" : "conflict";
    fail(outcome, `${hostname}: ${blockedText(blocked)}`);
  }
  const by = byOf(c);
  const own = { team: app.team, app: app.id, hostname, token: freshToken(), domainsMax: limits.domainsMax, nowMs };
  const { domain } = unwrap(await withinQuota(addDomain(database, { ...by, ...own, quota: quotaPolicy(c.env) })));
  return shown(c, (await check(c.env, domain, by)) ?? domain);
}

/** 20 bytes of randomness in characters that every DNS provider's form takes. */
function freshToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
