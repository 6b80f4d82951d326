// Join tokens: each enrols one server, once; an operator makes them.
import { createRoute, z } from "@hono/zod-openapi";
import { JoinToken, JoinTokenCreate, JoinTokenCreated, page, PageQuery } from "../../../contracts/api.ts";
import { JoinTokenId } from "../../../contracts/ids.ts";
import { createJoinToken, listJoinTokens, revokeJoinToken } from "../../../db/queries/join-tokens.ts";
import { makeJoinToken } from "../agent/join-token.ts";
import { newApi } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { byOf } from "../http/deed.ts";
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

const revokeJoinTokenRoute = createRoute({
  method: "delete",
  path: "/v1/nodes/tokens/{joinToken}",
  operationId: "revokeJoinToken",
  tags,
  security,
  summary: "Revoke a join token",
  description: "It enrols nobody from now on. One that was used says which node it made: that is what to revoke.",
  request: { params: z.object({ joinToken: JoinTokenId }) },
  responses: { 200: json(JoinToken, "It has ended, or was used before."), ...READ_PROBLEMS },
});

export const joinTokens = newApi()
  .openapi(createJoinTokenRoute, async (c) => {
    const input = c.req.valid("json");
    const act = async (id: string): Promise<z.infer<typeof JoinTokenCreated>> => {
      const { token, hash } = await makeJoinToken();
      const facts = { id: id as JoinTokenId, hash, region: input.region ?? null, expiresInMs: input.expiresInMs };
      const made = await createJoinToken(databaseOf(c.env), { ...byOf(c), ...facts });
      return { ...made, token };
    };
    return c.json(await writeOnce(c, { operation: "join_token.create", input, prefix: "join", act }), 201);
  })
  .openapi(listJoinTokensRoute, async (c) => {
    return c.json(unwrap(await listJoinTokens(databaseOf(c.env), c.req.valid("query"))), 200);
  })
  .openapi(revokeJoinTokenRoute, async (c) => {
    const { joinToken } = c.req.valid("param");
    const ended = await revokeJoinToken(databaseOf(c.env), { ...byOf(c), id: joinToken });
    return c.json(ended ?? fail("not_found", `There is no join token ${joinToken}.`), 200);
  });
