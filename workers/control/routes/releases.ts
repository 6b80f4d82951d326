// Releases, and what else rolls an app: rollback and restart. On the measured deploy path: nothing is awaited that need not be.
import { createRoute, z } from "@hono/zod-openapi";
import { Accepted, page, PageQuery, ReleaseCreate, RollbackCreate } from "../../../contracts/api.ts";
import { Release } from "../../../contracts/release.ts";
import { accepted, askApp, changeApp } from "../apps/app-object.ts";
import { requireBundle, sourceImage } from "../apps/check-source.ts";
import { appOf } from "../apps/find-app.ts";
import { judgeRelease } from "../images/judge-release.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { changeWithin, releaseWithin, startRelease } from "../quota/change-within.ts";
import type { AppRpc, Asked } from "../../../durable-objects/rpc.ts";
import { decodeNumber, encodeNumber } from "../http/cursor.ts";
import { aboutDeed } from "../http/deed.ts";
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
  description:
    "With its environment and configuration. Without a version: the one before the current one. A version whose command before did not end " +
    "well is refused (422); one that its smoke check or judge refused, too, without `force`.",
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
    const named = c.req.valid("param").app;
    const image = sourceImage(c.env, spec);
    const spending = startRelease(c, {
      app: named,
      registry: image?.registry ?? null,
      replicas: rest.replicas,
      resources: spec.resources,
    });
    const [app] = await Promise.all([appOf(c, named), requireBundle(c.env, c.get("caller").team.id, spec), spending])
      // Nothing is made of it: what was counted is not kept.
      .catch(async (error: unknown) => {
        (await spending.catch(() => null))?.giveBack();
        throw error;
      });
    const spent = await spending;
    const asked = { team: app.team, app: app.id, source: spec.source, image };
    const { refusal, ...pinned } = await judgeRelease(asked, spent.imagePolicies);
    const input = { spec, privateImage: spent.privateImage, ...pinned, ...rest };
    const change = (object: AppRpc, asked: Asked) => object.acceptRelease({ ...asked, ...input });
    const result = await releaseWithin(c, app, { ...spent, refusal: spent.refusal ?? refusal }, change);
    return c.json(released(c, result), 202);
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
    const result = await changeWithin(c, app, (object, asked) => object.rollback({ ...asked, ...input }));
    return c.json(released(c, result), 202);
  })
  .openapi(restartRoute, async (c) => {
    const app = await appOf(c, c.req.valid("param").app);
    return c.json(released(c, await changeApp(c, app, (object, asked) => object.restart(asked))), 202);
  });

/** For the audit: which version is to take the place of which. */
function released(c: ControlRequest, result: Accepted): Accepted {
  const { release, rollout } = result;
  aboutDeed(c, {
    before: { version: rollout?.fromVersion ?? null },
    after: {
      version: release?.version ?? rollout?.toVersion ?? null,
      release: release?.id ?? null,
      rollout: rollout?.id ?? null,
    },
  });
  return accepted(c, result);
}
