// Releases, and what else rolls an app: rollback and restart. On the measured deploy path: nothing is awaited that need not be.
import { createRoute, z } from "@hono/zod-openapi";
import { Accepted, page, PageQuery, ReleaseCreate, RollbackCreate } from "../../../contracts/api.ts";
import { Release } from "../../../contracts/release.ts";
import { accepted, askApp, changeApp } from "../apps/app-object.ts";
import { checkSource } from "../apps/check-source.ts";
import { appOf } from "../apps/find-app.ts";
import { newApi } from "../http/context.ts";
import { decodeNumber, encodeNumber } from "../http/cursor.ts";
import {
  AppParam,
  IdempotencyHeader,
  json,
  jsonBody,
  READ_PROBLEMS,
  SIGNED_IN,
  WRITE_PROBLEMS,
} from "../http/respond.ts";

const tags = ["Releases"];
const security = SIGNED_IN;
const rolling = { 202: json(Accepted, "The rollout to watch is in location."), ...WRITE_PROBLEMS };

const createReleaseRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/releases",
  operationId: "createRelease",
  tags,
  security,
  summary: "Release a new version",
  description:
    "Image or bundle, environment and configuration together become an immutable version, and a rollout brings it into service. " +
    "A rollout that is under way is superseded.",
  request: { params: AppParam, headers: IdempotencyHeader, ...jsonBody(ReleaseCreate) },
  responses: rolling,
});
const listReleasesRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/releases",
  operationId: "listReleases",
  tags,
  security,
  summary: "List releases",
  request: { params: AppParam, query: PageQuery },
  responses: { 200: json(page(Release), "A page of kept releases, newest first."), ...READ_PROBLEMS },
});
const rollbackRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/rollback",
  operationId: "rollback",
  tags,
  security,
  summary: "Go back to an earlier release",
  description: "With its environment and configuration. Without a version: the one before the current one.",
  request: { params: AppParam, headers: IdempotencyHeader, ...jsonBody(RollbackCreate) },
  responses: rolling,
});
const restartRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/restart",
  operationId: "restart",
  tags,
  security,
  summary: "Restart an app",
  description: "New instances of the same release replace the present ones, each ready before an old one goes.",
  request: {
    params: AppParam,
    headers: IdempotencyHeader,
    body: { required: false, content: { "application/json": { schema: z.strictObject({}) } } },
  },
  responses: rolling,
});

export const releases = newApi()
  .openapi(createReleaseRoute, async (c) => {
    const { spec, ...rest } = c.req.valid("json");
    const { team } = c.get("caller");
    const [app, { privateImage }] = await Promise.all([
      appOf(c, c.req.valid("param").app),
      checkSource(c.env, team.id, spec),
    ]);
    const input = { spec, privateImage, ...rest };
    return c.json(
      accepted(c, await changeApp(c, app, (object, asked) => object.acceptRelease({ ...asked, ...input }))),
      202,
    );
  })
  .openapi(listReleasesRoute, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const app = await appOf(c, c.req.valid("param").app);
    const before = decodeNumber(cursor);
    const input = before === null ? { limit } : { limit, beforeVersion: before };
    const { items, more } = await askApp(c, app, (object) => object.listReleases(input), { repeatable: true });
    const last = items.at(-1);
    return c.json({ items, nextCursor: more && last !== undefined ? encodeNumber(last.version) : null }, 200);
  })
  .openapi(rollbackRoute, async (c) => {
    const input = c.req.valid("json");
    const app = await appOf(c, c.req.valid("param").app);
    return c.json(
      accepted(c, await changeApp(c, app, (object, asked) => object.rollback({ ...asked, ...input }))),
      202,
    );
  })
  .openapi(restartRoute, async (c) => {
    const app = await appOf(c, c.req.valid("param").app);
    return c.json(accepted(c, await changeApp(c, app, (object, asked) => object.restart(asked))), 202);
  });
