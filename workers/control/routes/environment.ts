// An app's environment: names are shown, values are sealed before they go anywhere and are never shown again.
import { createRoute, z } from "@hono/zod-openapi";
import { Accepted, EnvPatch } from "../../../contracts/api.ts";
import { recordEnvironment } from "../../../db/queries/environments.ts";
import { accepted, askApp, changeApp } from "../apps/app-object.ts";
import { appOf } from "../apps/find-app.ts";
import { newApi } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { failField } from "../http/problem.ts";
import {
  AppParam,
  IdempotencyHeader,
  json,
  jsonBody,
  READ_PROBLEMS,
  SIGNED_IN,
  WRITE_PROBLEMS,
} from "../http/respond.ts";
import { requestHash, seal } from "../secrets/seal.ts";

const tags = ["Environment"];
const security = SIGNED_IN;

const readEnvironmentRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/env",
  operationId: "readEnvironment",
  tags,
  security,
  summary: "List the names of variables",
  request: { params: AppParam },
  responses: { 200: json(z.object({ names: z.array(z.string()) }), "Names, never values."), ...READ_PROBLEMS },
});
const patchEnvironmentRoute = createRoute({
  method: "patch",
  path: "/v1/apps/{app}/env",
  operationId: "patchEnvironment",
  tags,
  security,
  summary: "Set and unset variables",
  description: "All of them in one new release, which is rolled out if the app has one already.",
  request: { params: AppParam, headers: IdempotencyHeader, ...jsonBody(EnvPatch) },
  responses: { 202: json(Accepted, "The rollout to watch is in location."), ...WRITE_PROBLEMS },
});

export const environment = newApi()
  .openapi(readEnvironmentRoute, async (c) => {
    const app = await appOf(c, c.req.valid("param").app);
    const { envNames } = await askApp(c, app, (object) => object.read({}), { repeatable: true });
    return c.json({ names: envNames }, 200);
  })
  .openapi(patchEnvironmentRoute, async (c) => {
    const { set, unset } = c.req.valid("json");
    const both = unset.findIndex((name) => Object.hasOwn(set, name));
    if (both >= 0) {
      failField("invalid_request", { pointer: `/unset/${both}`, rule: "once", message: "is set in the same request" });
    }
    const app = await appOf(c, c.req.valid("param").app);
    const place = { team: app.team, scope: app.id };
    const sealed = await Promise.all(
      Object.entries(set).map(async ([name, value]) => {
        return [name, await seal(c.env.SECRETS_KEYS, { ...place, name }, value)] as const;
      }),
    );
    const hash = await requestHash(c.env.SECRETS_KEYS, [app.id, set, unset]);
    const input = { set: Object.fromEntries(sealed), unset, requestHash: hash };
    const result = await changeApp(c, app, (object, asked) => object.changeEnvironment({ ...asked, ...input }));
    const { actor } = c.get("caller");
    const history = { actor, requestId: c.get("requestId"), team: app.team, app: app.id, set: input.set, unset };
    // The App object has it; history may come late, or miss a line while the database is away.
    c.executionCtx.waitUntil(recordEnvironment(databaseOf(c.env), history).catch(() => undefined));
    return c.json(accepted(c, result), 202);
  });
