// API tokens of the caller's team.
import { createRoute, z } from "@hono/zod-openapi";
import { ApiToken, ApiTokenCreate, ApiTokenCreated, page, PageQuery } from "../../../contracts/api.ts";
import { ApiTokenId } from "../../../contracts/ids.ts";
import { createApiToken, listApiTokens, revokeApiToken } from "../auth/index.ts";
import { newApi } from "../http/context.ts";
import { writeOnce } from "../http/idempotency.ts";
import {
  IdempotencyHeader,
  json,
  jsonBody,
  READ_PROBLEMS,
  SIGNED_IN,
  unwrap,
  WRITE_PROBLEMS,
} from "../http/respond.ts";

const tags = ["API tokens"];
const security = SIGNED_IN;

const createTokenRoute = createRoute({
  method: "post",
  path: "/v1/tokens",
  operationId: "createToken",
  tags,
  security,
  summary: "Make an API token",
  description: "It acts for the caller in the caller's team.",
  request: { headers: IdempotencyHeader, ...jsonBody(ApiTokenCreate) },
  responses: { 201: json(ApiTokenCreated, "The token, shown once."), ...WRITE_PROBLEMS },
});
const listTokensRoute = createRoute({
  method: "get",
  path: "/v1/tokens",
  operationId: "listTokens",
  tags,
  security,
  summary: "List API tokens",
  request: { query: PageQuery },
  responses: { 200: json(page(ApiToken), "A page of tokens, newest first."), ...READ_PROBLEMS },
});
const revokeTokenRoute = createRoute({
  method: "delete",
  path: "/v1/tokens/{token}",
  operationId: "revokeToken",
  tags,
  security,
  summary: "Revoke an API token",
  request: { params: z.object({ token: ApiTokenId }) },
  responses: { 204: { description: "It is refused from now on." }, ...READ_PROBLEMS },
});

export const tokens = newApi()
  .openapi(createTokenRoute, async (c) => {
    const input = c.req.valid("json");
    const act = async (id: string) => unwrap(await createApiToken(c.get("caller"), input, c.env, id as ApiTokenId));
    return c.json(await writeOnce(c, { operation: "token.create", input, prefix: "tok", act }), 201);
  })
  .openapi(listTokensRoute, async (c) => {
    return c.json(unwrap(await listApiTokens(c.get("caller"), c.req.valid("query"), c.env)), 200);
  })
  .openapi(revokeTokenRoute, async (c) => {
    unwrap(await revokeApiToken(c.get("caller"), c.req.valid("param").token, c.env));
    return c.body(null, 204);
  });
