// Installing: what an operator publishes for new servers, and what a bare server fetches with curl.
import { createRoute } from "@hono/zod-openapi";
import { Installation } from "../../../contracts/installation.ts";
import { recordAudit } from "../../../db/queries/audit.ts";
import { newApi } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { byOf } from "../http/deed.ts";
import { fail } from "../http/problem.ts";
import { IdempotencyHeader, json, jsonBody, READ_PROBLEMS, SIGNED_IN, WRITE_PROBLEMS } from "../http/respond.ts";
import { filledScript, installFile, readInstallation, storeInstallation } from "../install/store.ts";

const tags = ["Nodes"];
const security = SIGNED_IN;

const putRoute = createRoute({
  method: "put",
  path: "/v1/installation",
  operationId: "putInstallation",
  tags,
  security,
  summary: "Publish what new servers install",
  description:
    "Agent, launcher and script, uploaded before, and the Node release that runs them. `GET /install` serves it.",
  request: { headers: IdempotencyHeader, ...jsonBody(Installation) },
  responses: { 200: json(Installation, "Published."), ...WRITE_PROBLEMS },
});
const getRoute = createRoute({
  method: "get",
  path: "/v1/installation",
  operationId: "getInstallation",
  tags,
  security,
  summary: "Read what new servers install",
  responses: { 200: json(Installation, "As published."), ...READ_PROBLEMS },
});

export const installation = newApi()
  .openapi(putRoute, async (c) => {
    const wanted = c.req.valid("json");
    await storeInstallation(c.env, wanted);
    await recordAudit(databaseOf(c.env), {
      ...byOf(c),
      team: null,
      action: "installation.publish",
      subject: wanted.version,
    });
    return c.json(wanted, 200);
  })
  .openapi(getRoute, async (c) => {
    const found = await readInstallation(c.env);
    return c.json(found ?? fail("not_found", "Nothing was published to install yet."), 200);
  });

// Without a caller: the server that asks has nothing yet but a join token, which it does not show here.
installation.get("/install", async (c) => {
  const script = await filledScript(c.env, c.env.CONTROL_ORIGIN ?? new URL(c.req.url).origin);
  return c.text(script, 200, { "content-type": "text/x-shellscript; charset=utf-8", "cache-control": "no-store" });
});
installation.get("/install/:file", async (c) => {
  const file = await installFile(c.env, c.req.param("file"));
  if (file === null) return fail("not_found", `There is nothing at ${c.req.path}; /install names what there is.`);
  return c.body(file.body, 200, {
    "content-type": "text/javascript",
    "content-length": String(file.size),
    "cache-control": "public, max-age=31536000, immutable",
  });
});
