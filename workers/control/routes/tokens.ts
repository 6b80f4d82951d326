// API tokens of the caller's team.
import { createRoute, z } from "@hono/zod-openapi";
import { page, PageQuery } from "../../../contracts/api.ts";
import { ApiTokenId } from "../../../contracts/ids.ts";
import { ApiToken, ApiTokenCreate, ApiTokenCreated } from "../../../contracts/teams.ts";
import { authorise } from "../../../core/authorise/authorise.ts";
import { createApiToken, listApiTokens, revokeApiToken } from "../auth/index.ts";
import { askedOfEach } from "../http/authorise.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { aboutDeed, byOf } from "../http/deed.ts";
import { writeOnce } from "../http/idempotency.ts";
import { fail } from "../http/problem.ts";
import {
  IdempotencyHeader,
  json,
  jsonBody,
  READ_PROBLEMS,
  SIGNED_IN,
  unwrap,
  WRITE_PROBLEMS,
} from "../http/respond.ts";
import { projectIds } from "../http/rights.ts";

const tags = ["API tokens"];
const security = SIGNED_IN;

const createTokenRoute = createRoute({
  method: "post",
  path: "/v1/tokens",
  operationId: "createToken",
  tags,
  security,
  summary: "Make an API token",
  description:
    "It acts for the caller in the caller's team, with its scopes of what the caller may: `resource:action`, `*` for any. Without " +
    "scopes and projects: with all of it.",
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
    if (c.get("caller").entered) fail("forbidden", "Whoever entered the team as an operator makes no tokens in it.");
    const { projects: names, ...rest } = input;
    const projects = names === undefined || names === null ? null : await projectIds(c, names);
    const act = async (id: string) => {
      const first = { id: id as ApiTokenId, by: byOf(c) };
      return unwrap(await createApiToken(c.get("caller"), { ...rest, projects }, c.env, first));
    };
    return c.json(await writeOnce(c, { operation: "token.create", input, prefix: "tok", act }), 201);
  })
  .openapi(listTokensRoute, async (c) => {
    return c.json(unwrap(await listApiTokens(c.get("caller"), c.req.valid("query"), c.env, onlyOwn(c))), 200);
  })
  .openapi(revokeTokenRoute, async (c) => {
    const { token } = c.req.valid("param");
    aboutDeed(c, { subject: token });
    unwrap(await revokeApiToken(c.get("caller"), token, c.env, { ...onlyOwn(c), by: byOf(c) }));
    return c.body(null, 204);
  });

/** Whose role speaks of their own tokens alone: the query leaves out all others. */
function onlyOwn(c: ControlRequest): { own: boolean } {
  return { own: authorise(c.get("caller").subject, { ...askedOfEach(c), own: false }).kind === "denied" };
}
