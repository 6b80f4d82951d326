// Apps: made, listed, read, scaled, destroyed. Names are Postgres'; everything that runs is the App object's.
import { createRoute } from "@hono/zod-openapi";
import { etag } from "hono/etag";
import { Accepted, App, AppCreate, AppPatch, page, PageQuery } from "../../../contracts/api.ts";
import type { AppId, RegionName } from "../../../contracts/ids.ts";
import { authorise, projectsShown } from "../../../core/authorise/authorise.ts";
import { domainLimits } from "../../../core/domains/limits.ts";
import { createApp, destroyApp, listApps } from "../../../db/queries/apps.ts";
import { accepted, askApp, changeApp, createObject, shownApp } from "../apps/app-object.ts";
import { appOf, factsOf, forgetApp } from "../apps/find-app.ts";
import { isPlatforms } from "../domains/ask-hostname.ts";
import { inBatches } from "../http/ask.ts";
import { askedOfEach } from "../http/authorise.ts";
import { changeWithin } from "../quota/change-within.ts";
import { quotaPolicy } from "../quota/policy.ts";
import { withinQuota } from "../quota/refuse.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { aboutDeed, byOf } from "../http/deed.ts";
import { askedBy, writeOnce } from "../http/idempotency.ts";
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

const tags = ["Apps"];
const security = SIGNED_IN;
/** Objects asked at once for a list: an answer of 100 apps in a few round trips, without flooding the isolate. */
const ASKED_AT_ONCE = 16;

const createAppRoute = createRoute({
  method: "post",
  path: "/v1/apps",
  operationId: "createApp",
  tags,
  security,
  summary: "Make an app",
  description:
    "Takes the name within the team and a hostname under the platform's domain. Nothing runs before its first release.",
  request: { headers: IdempotencyHeader, ...jsonBody(AppCreate) },
  responses: { 201: json(App, "The app."), ...WRITE_PROBLEMS },
});
const listAppsRoute = createRoute({
  method: "get",
  path: "/v1/apps",
  operationId: "listApps",
  tags,
  security,
  summary: "List apps",
  request: { query: PageQuery },
  responses: { 200: json(page(App), "A page of apps, newest first."), ...READ_PROBLEMS },
});
const readAppRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}",
  operationId: "readApp",
  tags,
  security,
  summary: "Read an app",
  request: { params: AppParam },
  middleware: [etag()] as const,
  responses: {
    200: json(App, "The app as it is now, with an ETag."),
    304: { description: "As the ETag in if-none-match has it." },
    ...READ_PROBLEMS,
  },
});
const patchAppRoute = createRoute({
  method: "patch",
  path: "/v1/apps/{app}",
  operationId: "patchApp",
  tags,
  security,
  summary: "Scale an app, or put it in maintenance",
  request: { params: AppParam, headers: IdempotencyHeader, ...jsonBody(AppPatch) },
  responses: { 202: json(Accepted, "The rollout to watch is in location."), ...WRITE_PROBLEMS },
});
const destroyAppRoute = createRoute({
  method: "delete",
  path: "/v1/apps/{app}",
  operationId: "destroyApp",
  tags,
  security,
  summary: "Destroy an app",
  description: "Stops every instance at once and gives back name and hostnames. Its history stays.",
  request: { params: AppParam, headers: IdempotencyHeader },
  responses: { 202: json(App, "Being destroyed, or destroyed already."), ...READ_PROBLEMS },
});

export const apps = newApi()
  .openapi(createAppRoute, async (c) => {
    const input = c.req.valid("json");
    aboutDeed(c, { subject: input.name });
    const act = (id: string) => makeApp(c, id as AppId, input);
    const app = await writeOnce(c, { operation: "app.create", input, prefix: "app", act });
    c.header("location", `/v1/apps/${app.id}`);
    return c.json(app, 201);
  })
  .openapi(listAppsRoute, async (c) => {
    const { team, subject } = c.get("caller");
    const asked = askedOfEach(c);
    const within = projectsShown(subject, asked);
    const rows = unwrap(await listApps(databaseOf(c.env), team.id, c.req.valid("query"), within));
    const seen = rows.items.filter((app) => authorise(subject, { ...asked, ...factsOf(c, app) }).kind === "allowed");
    const items = await inBatches(seen, ASKED_AT_ONCE, async (row) =>
      shownApp(c.env, await askApp(c, row, (object) => object.read({}), { repeatable: true })),
    );
    return c.json({ items, nextCursor: rows.nextCursor }, 200);
  })
  .openapi(readAppRoute, async (c) => {
    const app = await appOf(c, c.req.valid("param").app);
    return c.json(shownApp(c.env, await askApp(c, app, (object) => object.read({}), { repeatable: true })), 200);
  })
  .openapi(patchAppRoute, async (c) => {
    const { replicas, maintenance } = c.req.valid("json");
    const app = await appOf(c, c.req.valid("param").app);
    const before = await askApp(c, app, (object) => object.read({}), { repeatable: true });
    if (replicas !== undefined) {
      aboutDeed(c, { before: { replicas: before.replicas }, after: { replicas } });
      const result = await changeWithin(c, app, (object, asked) => object.scale({ ...asked, replicas }));
      return c.json(accepted(c, result), 202);
    }
    const on = maintenance === true;
    aboutDeed(c, { before: { maintenance: before.maintenance }, after: { maintenance: on } });
    await changeApp(c, app, (object, asked) => object.setMaintenance({ ...asked, on }));
    return c.json(accepted(c, { app: app.id, release: null, rollout: null }), 202);
  })
  .openapi(destroyAppRoute, async (c) => {
    const app = await appOf(c, c.req.valid("param").app);
    const { team } = c.get("caller");
    const result = await changeApp(c, app, (object, asked) => object.destroy(asked));
    forgetApp(team.id, app);
    // After the object: a name must not be free while something of its app still starts.
    const by = byOf(c);
    const domainsRestUntilMs = Date.now() + domainLimits(c.env.TUNING).domainRestMs;
    await destroyApp(databaseOf(c.env), { ...by, team: team.id, id: app.id, domainsRestUntilMs });
    return c.json(shownApp(c.env, result), 202);
  });

/** Postgres first, because it owns the name; then the object. A retry under the same key goes on with the same id. */
async function makeApp(c: ControlRequest, id: AppId, input: AppCreate): Promise<App> {
  const { team, subject } = c.get("caller");
  const { name, project, replicas } = input;
  const within = projectsShown(subject, askedOfEach(c));
  const regions = input.regions ?? [c.env.DEFAULT_REGION as RegionName];
  const base = c.env.BASE_DOMAIN;
  // A label has at most 63 characters; where the team's name does not fit beside the app's, a piece of the id does.
  const second = `${name}-${team.slug}`.length <= 63 ? `${name}-${team.slug}` : `${name.slice(0, 50)}-${id.slice(-12)}`;
  const labels = [name, second, `${name.slice(0, 50)}-${id.slice(-12)}`];
  const hostnameCandidates = labels.map((label) => `${label}.${base}`).filter((one) => !isPlatforms(c.env, one));
  const by = byOf(c);
  const facts = { id, team: team.id, name, regions, replicas, hostnameCandidates, within };
  const quota = quotaPolicy(c.env);
  const row = unwrap(
    await withinQuota(
      createApp(databaseOf(c.env), { ...by, ...facts, quota, ...(project === undefined ? {} : { project }) }),
    ),
  );
  return shownApp(c.env, await createObject(c.env, row, askedBy(c)));
}
