// An app's environment: names are shown, values are sealed before they go anywhere and are never shown again.
import { createRoute } from "@hono/zod-openapi";
import { Accepted, page, PageQuery } from "../../../contracts/api.ts";
import {
  Environment,
  EnvironmentVersion,
  EnvPatch,
  EnvRollback,
  readReference,
} from "../../../contracts/environment.ts";
import { environmentVersionsOf, listEnvironmentVersions } from "../../../db/queries/environments.ts";
import { EnvName } from "../../../contracts/release.ts";
import { findApp, type AppRecord } from "../../../db/queries/apps.ts";
import { accepted, askApp } from "../apps/app-object.ts";
import { appOf } from "../apps/find-app.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { failField } from "../http/problem.ts";
import { NO_GROWTH, startRelease } from "../quota/change-within.ts";
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
import { changeEnvironment } from "../secrets/change.ts";
import { checkReferences } from "../secrets/references.ts";
import { seal } from "../secrets/seal.ts";

const tags = ["Environment"];
const security = SIGNED_IN;
const changed = { 202: json(Accepted, "The rollout to watch is in location."), ...WRITE_PROBLEMS };

const readEnvironmentRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/env",
  operationId: "readEnvironment",
  tags,
  security,
  summary: "List the names of variables",
  request: { params: AppParam },
  responses: { 200: json(Environment, "Names, never values."), ...READ_PROBLEMS },
});
const patchEnvironmentRoute = createRoute({
  method: "patch",
  path: "/v1/apps/{app}/env",
  operationId: "patchEnvironment",
  tags,
  security,
  summary: "Set and unset variables",
  description:
    "All of them in one new release, which is rolled out if the app has one already. What references another app's variable gets its value whenever a release is made.",
  request: { params: AppParam, headers: IdempotencyHeader, ...jsonBody(EnvPatch) },
  responses: changed,
});
const listVersionsRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/env/versions",
  operationId: "listEnvironmentVersions",
  tags,
  security,
  summary: "List every version that variables had",
  description: "Newest first: which variable, when and by whom. Never a value.",
  request: { params: AppParam, query: PageQuery.extend({ name: EnvName.optional() }) },
  responses: { 200: json(page(EnvironmentVersion), "A page of versions."), ...READ_PROBLEMS },
});
const rollbackRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/env/rollback",
  operationId: "rollbackEnvironment",
  tags,
  security,
  summary: "Give variables a version that they had",
  description: "All of them in one new release. A version that removed the variable removes it.",
  request: { params: AppParam, headers: IdempotencyHeader, ...jsonBody(EnvRollback) },
  responses: changed,
});

export const environment = newApi()
  .openapi(readEnvironmentRoute, async (c) => {
    const app = await appOf(c, c.req.valid("param").app);
    const { names, references } = await askApp(c, app, (object) => object.readDraft({ names: [] }), {
      repeatable: true,
    });
    const shown = await Promise.all(
      Object.entries(references).map(async ([name, from]) => {
        const source = await findApp(databaseOf(c.env), app.team, from.app);
        return [name, { ...from, appName: source?.name ?? from.app }] as const;
      }),
    );
    return c.json({ names: [...names], references: Object.fromEntries(shown) }, 200);
  })
  .openapi(patchEnvironmentRoute, async (c) => {
    const { set, references, unset } = c.req.valid("json");
    requireOnce({ set, references, unset });
    const named = c.req.valid("param").app;
    const [app, spent] = await startChange(c, named);
    const sealed = await Promise.all(
      Object.entries(set).map(async ([name, value]) => {
        const place = { team: app.team, scope: app.id, name };
        return [name, await seal(c.env.SECRETS_KEYS, place, value)] as const;
      }),
    );
    const kept = await checked(c, app, spent, references);
    const change = { set: { ...Object.fromEntries(sealed), ...kept }, unset };
    // As before there were references, so that what was asked then is still the same.
    const request = Object.keys(references).length === 0 ? [set, unset] : [set, unset, references];
    return c.json(accepted(c, await changeEnvironment(c, app, spent, { ...change, request })), 202);
  })
  .openapi(listVersionsRoute, async (c) => {
    const app = await appOf(c, c.req.valid("param").app);
    return c.json(
      unwrap(await listEnvironmentVersions(databaseOf(c.env), app.team, app.id, c.req.valid("query"))),
      200,
    );
  })
  .openapi(rollbackRoute, async (c) => {
    const { versions } = c.req.valid("json");
    const [app, spent] = await startChange(c, c.req.valid("param").app);
    const kept = await environmentVersionsOf(databaseOf(c.env), app.team, app.id, Object.keys(versions)).catch(
      (error: unknown) => (spent.giveBack(), Promise.reject(error)),
    );
    const set: Record<string, string> = {};
    const references: Record<string, string> = {};
    const unset: string[] = [];
    for (const [name, version] of Object.entries(versions)) {
      const mine = kept.filter((one) => one.name === name);
      const found = mine.find((one) => one.version === version);
      if (found === undefined) {
        spent.giveBack();
        const had = mine.length === 0 ? "was never set" : `has versions 1 to ${mine.length}`;
        failField("unprocessable", { pointer: `/versions/${name}`, rule: "version", message: `${name} ${had}` });
      }
      const from = found.sealed === null ? null : readReference(found.sealed);
      if (found.sealed === null) unset.push(name);
      else if (from !== null) references[name] = `${from.app}.${from.name}`;
      else set[name] = found.sealed;
    }
    // Whoever brings a reference back takes the source's value as whoever writes one does: it is judged as a new one.
    Object.assign(set, await checked(c, app, spent, references, "/versions"));
    const request = ["rollback", versions];
    return c.json(accepted(c, await changeEnvironment(c, app, spent, { set, unset, request })), 202);
  });

/** Which app, and what a release of it needs of the team's quota. */
const startChange = (c: ControlRequest, named: string) =>
  Promise.all([appOf(c, named), startRelease(c, { app: named, ...NO_GROWTH })]);

type Spent = Awaited<ReturnType<typeof startRelease>>;

/** Leaves the request being about the app itself again, not about those that it takes variables from. */
async function checked(
  c: ControlRequest,
  app: AppRecord,
  spent: Spent,
  references: Readonly<Record<string, string>>,
  pointer = "/references",
) {
  if (Object.keys(references).length === 0) return {};
  try {
    return await checkReferences(c, app, references, pointer);
  } catch (error) {
    spent.giveBack();
    throw error;
  } finally {
    await appOf(c, app.id);
  }
}

function requireOnce({ set, references, unset }: EnvPatch): void {
  const message = "is given twice in the same request";
  const twice = Object.keys(references).find((name) => Object.hasOwn(set, name));
  if (twice !== undefined) failField("invalid_request", { pointer: `/references/${twice}`, rule: "once", message });
  const both = unset.findIndex((name) => Object.hasOwn(set, name) || Object.hasOwn(references, name));
  if (both >= 0)
    failField("invalid_request", { pointer: `/unset/${both}`, rule: "once", message: "is set in the same request" });
}
