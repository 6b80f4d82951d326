// Rollouts: watched and cancelled; and the instances that they made.
import { createRoute, z } from "@hono/zod-openapi";
import { etag } from "hono/etag";
import { Instance, page, PageQuery, Rollout } from "../../../contracts/api.ts";
import { RolloutId } from "../../../contracts/ids.ts";
import { listRolloutHistory } from "../../../db/queries/history.ts";
import { encodeCursor } from "../../../db/queries/page.ts";
import { askApp, changeApp } from "../apps/app-object.ts";
import { appOf } from "../apps/find-app.ts";
import { newApi } from "../http/context.ts";
import { falling, pageOfAll, rising } from "../http/cursor.ts";
import { databaseOf } from "../http/database.ts";
import {
  AppParam,
  IdempotencyHeader,
  json,
  READ_PROBLEMS,
  SIGNED_IN,
  unwrap,
  WRITE_PROBLEMS,
} from "../http/respond.ts";

const security = SIGNED_IN;
const params = AppParam.extend({ rollout: RolloutId });

const listRolloutsRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/rollouts",
  operationId: "listRollouts",
  tags: ["Rollouts"],
  security,
  summary: "List rollouts",
  request: { params: AppParam, query: PageQuery },
  responses: {
    200: json(page(Rollout), "Newest first; the first page as the app knows them, later ones from history."),
    ...READ_PROBLEMS,
  },
});
const readRolloutRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/rollouts/{rollout}",
  operationId: "readRollout",
  tags: ["Rollouts"],
  security,
  summary: "Watch a rollout",
  request: { params },
  middleware: [etag()] as const,
  responses: {
    200: json(Rollout, "How far it is, what it waits for, and why it ended."),
    304: { description: "As the ETag in if-none-match has it." },
    ...READ_PROBLEMS,
  },
});
const cancelRolloutRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/rollouts/{rollout}/cancel",
  operationId: "cancelRollout",
  tags: ["Rollouts"],
  security,
  summary: "Cancel a rollout",
  description: "The release from before it serves on.",
  request: { params, headers: IdempotencyHeader },
  responses: { 202: json(Rollout, "Cancelled."), ...WRITE_PROBLEMS },
});
const listInstancesRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/instances",
  operationId: "listInstances",
  tags: ["Apps"],
  security,
  summary: "List instances",
  request: {
    params: AppParam,
    query: PageQuery.extend({
      all: z
        .enum(["true", "false"])
        .default("false")
        .meta({ description: "Those that have ended too, as far as kept." }),
    }),
  },
  responses: {
    200: json(page(Instance), "A page of where the app runs: the newest version first, then by slot."),
    ...READ_PROBLEMS,
  },
});

export const rollouts = newApi()
  .openapi(listRolloutsRoute, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const app = await appOf(c, c.req.valid("param").app);
    if (cursor !== undefined) {
      const older = await listRolloutHistory(databaseOf(c.env), app.team, app.id, { limit, cursor });
      return c.json(unwrap(older), 200);
    }
    const { items } = await askApp(c, app, (object) => object.listRollouts({ limit }), { repeatable: true });
    const last = items.at(-1);
    return c.json({ items, nextCursor: last && items.length === limit ? encodeCursor(last.id) : null }, 200);
  })
  .openapi(readRolloutRoute, async (c) => {
    const { app: name, rollout } = c.req.valid("param");
    const app = await appOf(c, name);
    return c.json(await askApp(c, app, (object) => object.readRollout({ rollout }), { repeatable: true }), 200);
  })
  .openapi(cancelRolloutRoute, async (c) => {
    const { app: name, rollout } = c.req.valid("param");
    const app = await appOf(c, name);
    const cancelled = await changeApp(c, app, (object, asked) => object.cancelRollout({ ...asked, rollout }));
    c.header("location", `/v1/apps/${app.id}/rollouts/${rollout}`);
    return c.json(cancelled, 202);
  })
  .openapi(listInstancesRoute, async (c) => {
    const { all, ...wanted } = c.req.valid("query");
    const app = await appOf(c, c.req.valid("param").app);
    const ask = { all: all === "true" };
    const { items } = await askApp(c, app, (object) => object.listInstances(ask), { repeatable: true });
    return c.json(pageOfAll(items, wanted, instanceOrder), 200);
  });

/** The newest version first, then by slot, the newest of a slot first. */
const instanceOrder = ({ version, ordinal, generation, id }: Instance): string =>
  `${falling(version)}.${rising(ordinal)}.${falling(generation)}.${id}`;
