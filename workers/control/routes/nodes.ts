// Nodes and join tokens: the operator's. Postgres knows which Cell a node is in; the Cell knows everything else.
import { createRoute, z } from "@hono/zod-openapi";
import { JoinToken, JoinTokenCreate, JoinTokenCreated, Node, page, PageQuery } from "../../../contracts/api.ts";
import type { CellName, JoinTokenId } from "../../../contracts/ids.ts";
import { createJoinToken, listJoinTokens } from "../../../db/queries/join-tokens.ts";
import { findNode, listNodes, markNodeRevoked, type NodeRecord } from "../../../db/queries/nodes.ts";
import { makeJoinToken } from "../agent/join-token.ts";
import type { ControlEnv } from "../env.ts";
import { ask, inBatches } from "../http/ask.ts";
import { requireOperator } from "../http/authorise.ts";
import { newApi } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
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
/** A page has at most 100 nodes, and those are in at most as many cells. */
const CELLS_ASKED_AT_ONCE = 16;
const params = z.object({
  node: z.string().min(1).max(64).meta({ description: "The node's id or its name." }),
});

const listNodesRoute = createRoute({
  method: "get",
  path: "/v1/nodes",
  operationId: "listNodes",
  tags,
  security,
  summary: "List nodes",
  request: { query: PageQuery },
  responses: { 200: json(page(Node), "A page of nodes, newest first, without the revoked."), ...READ_PROBLEMS },
});
const readNodeRoute = createRoute({
  method: "get",
  path: "/v1/nodes/{node}",
  operationId: "readNode",
  tags,
  security,
  summary: "Read a node",
  request: { params },
  responses: { 200: json(Node, "The node as its Cell sees it."), ...READ_PROBLEMS },
});
const revokeNodeRoute = createRoute({
  method: "post",
  path: "/v1/nodes/{node}/revoke",
  operationId: "revokeNode",
  tags,
  security,
  summary: "Revoke a node",
  description: "Its credential is refused at once, and what ran on it is placed elsewhere.",
  request: { params, headers: IdempotencyHeader },
  responses: { 204: { description: "Revoked, or was already." }, ...WRITE_PROBLEMS },
});
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

export const nodes = newApi()
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
  })
  .openapi(listNodesRoute, async (c) => {
    requireOperator(c);
    const rows = unwrap(await listNodes(databaseOf(c.env), c.req.valid("query")));
    return c.json({ items: await asCellsSee(c.env, rows.items), nextCursor: rows.nextCursor }, 200);
  })
  .openapi(readNodeRoute, async (c) => {
    requireOperator(c);
    const { id, cell } = await nodeOf(c.env, c.req.valid("param").node);
    return c.json(
      unwrap(await ask(() => c.env.CELL.getByName(cell).readNode({ node: id }), { repeatable: true })),
      200,
    );
  })
  .openapi(revokeNodeRoute, async (c) => {
    const { actor } = requireOperator(c);
    const { id, cell } = await nodeOf(c.env, c.req.valid("param").node);
    unwrap(await ask(() => c.env.CELL.getByName(cell).revoke({ node: id, actor }), { repeatable: true }));
    await markNodeRevoked(databaseOf(c.env), { actor, requestId: c.get("requestId"), node: id });
    return c.body(null, 204);
  });

async function nodeOf(env: ControlEnv, idOrName: string): Promise<NodeRecord> {
  const node = await findNode(databaseOf(env), idOrName);
  return node ?? fail("not_found", `There is no node ${idOrName}.`);
}

/** In the rows' order. */
async function asCellsSee(env: ControlEnv, rows: readonly NodeRecord[]): Promise<Node[]> {
  const cells = [...new Set(rows.map((row) => row.cell))];
  const lists = await inBatches(cells, CELLS_ASKED_AT_ONCE, async (cell: CellName) =>
    unwrap(await ask(() => env.CELL.getByName(cell).listNodes(), { repeatable: true })),
  );
  const byId = new Map(lists.flatMap((list) => list.items).map((node) => [node.id, node]));
  return rows.flatMap((row) => byId.get(row.id) ?? []);
}
