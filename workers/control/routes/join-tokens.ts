// Join tokens: each enrols one server, once; an operator makes them.
import { createRoute, type z } from "@hono/zod-openapi";
import { JoinToken, JoinTokenCreate, JoinTokenCreated, page, PageQuery } from "../../../contracts/api.ts";
import type { JoinTokenId } from "../../../contracts/ids.ts";
import { createJoinToken, listJoinTokens } from "../../../db/queries/join-tokens.ts";
import { makeJoinToken } from "../agent/join-token.ts";
import { requireOperator } from "../http/authorise.ts";
import { newApi } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
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

const tags = ["Nodes"];
const security = SIGNED_IN;

const createJoinTokenRoute = createRoute({
  method: "post",
  path: "/v1/nodes/tokens",
  operationId: "createJoinToken",
  tags,
  security,
  summary: "Make a join token",
  description: "It enrols one node, once.",
  request: { headers: IdempotencyHeader, ...jsonBody(JoinTokenCreate) },
  responses: { 201: json(JoinTokenCreated, "The token, shown once."), ...WRITE_PROBLEMS },
});
const listJoinTokensRoute = createRoute({
  method: "get",
  path: "/v1/nodes/tokens",
  operationId: "listJoinTokens",
  tags,
  security,
  summary: "List join tokens",
  request: { query: PageQuery },
  responses: { 200: json(page(JoinToken), "A page of join tokens, newest first."), ...READ_PROBLEMS },
});

export const joinTokens = newApi()
  .openapi(createJoinTokenRoute, async (c) => {
    const { actor } = requireOperator(c);
    const input = c.req.valid("json");
    const act = async (id: string): Promise<z.infer<typeof JoinTokenCreated>> => {
      const { token, hash } = await makeJoinToken();
      const facts = { id: id as JoinTokenId, hash, region: input.region ?? null, expiresInMs: input.expiresInMs };
      const made = await createJoinToken(databaseOf(c.env), { actor, requestId: c.get("requestId"), ...facts });
      return { ...made, token };
    };
    return c.json(await writeOnce(c, { operation: "join_token.create", input, prefix: "join", act }), 201);
  })
  .openapi(listJoinTokensRoute, async (c) => {
    requireOperator(c);
    return c.json(unwrap(await listJoinTokens(databaseOf(c.env), c.req.valid("query"))), 200);
  });
