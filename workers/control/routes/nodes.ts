// Nodes as they are: the operator's lists, one node, what runs there, and what happened to it.
import { createRoute } from "@hono/zod-openapi";
import { Node, NodeInstance, page, PageQuery } from "../../../contracts/api.ts";
import { BerthEvent } from "../../../contracts/events.ts";
import { listNodeEvents } from "../../../db/queries/history.ts";
import { listNodes, type NodeRecord } from "../../../db/queries/nodes.ts";
import type { ControlEnv } from "../env.ts";
import { inBatches } from "../http/ask.ts";
import { newApi } from "../http/context.ts";
import { pageOfAll, rising } from "../http/cursor.ts";
import { databaseOf } from "../http/database.ts";
import { json, NodeParam, READ_PROBLEMS, SIGNED_IN, unwrap } from "../http/respond.ts";
import { askCell, nodeOf, readNode } from "../nodes/find-node.ts";

const tags = ["Nodes"];
const security = SIGNED_IN;
/** A page has at most 100 nodes, and those are in at most as many cells. */
const CELLS_ASKED_AT_ONCE = 32;

const listNodesRoute = createRoute({
  method: "get",
  path: "/v1/nodes",
  operationId: "listNodes",
  tags,
  security,
  summary: "List nodes",
  request: { query: PageQuery },
  responses: { 200: json(page(Node), "A page of nodes, newest first, without the removed."), ...READ_PROBLEMS },
});
const readNodeRoute = createRoute({
  method: "get",
  path: "/v1/nodes/{node}",
  operationId: "readNode",
  tags,
  security,
  summary: "Read a node",
  request: { params: NodeParam },
  responses: { 200: json(Node, "The node as its Cell sees it."), ...READ_PROBLEMS },
});
const listNodeInstancesRoute = createRoute({
  method: "get",
  path: "/v1/nodes/{node}/instances",
  operationId: "listNodeInstances",
  tags,
  security,
  summary: "List a node's instances",
  request: { params: NodeParam, query: PageQuery },
  responses: {
    200: json(page(NodeInstance), "A page of what its Cell has placed there, by app and slot."),
    ...READ_PROBLEMS,
  },
});
const listNodeEventsRoute = createRoute({
  method: "get",
  path: "/v1/nodes/{node}/events",
  operationId: "listNodeEvents",
  tags,
  security,
  summary: "List a node's events",
  description: "From history, which is a moment behind; of removed nodes too. Metering is not among them.",
  request: { params: NodeParam, query: PageQuery },
  responses: { 200: json(page(BerthEvent), "A page of events, newest first."), ...READ_PROBLEMS },
});

export const nodes = newApi()
  .openapi(listNodesRoute, async (c) => {
    const rows = unwrap(await listNodes(databaseOf(c.env), c.req.valid("query")));
    return c.json({ items: await asCellsSee(c.env, rows.items), nextCursor: rows.nextCursor }, 200);
  })
  .openapi(readNodeRoute, async (c) => {
    return c.json(await readNode(c.env, await nodeOf(c.env, c.req.valid("param").node)), 200);
  })
  .openapi(listNodeInstancesRoute, async (c) => {
    const node = await nodeOf(c.env, c.req.valid("param").node);
    const { items } = await askCell(c.env, node, (cell) => cell.nodeInstances({ node: node.id }));
    return c.json(pageOfAll(items, c.req.valid("query"), instanceOrder), 200);
  })
  .openapi(listNodeEventsRoute, async (c) => {
    const { id, cell } = await nodeOf(c.env, c.req.valid("param").node, { removed: true });
    const wanted = { node: id, cell, ...c.req.valid("query") };
    return c.json(unwrap(await listNodeEvents(databaseOf(c.env), wanted)), 200);
  });

const instanceOrder = ({ appName, ordinal, id }: NodeInstance): string => `${appName}.${rising(ordinal)}.${id}`;

/** In the rows' order. A Cell is asked for all of its nodes at once, unless only one of them is wanted. */
async function asCellsSee(env: ControlEnv, rows: readonly NodeRecord[]): Promise<Node[]> {
  const byCell = Map.groupBy(rows, (row) => row.cell);
  const lists = await inBatches([...byCell.values()], CELLS_ASKED_AT_ONCE, async (wanted: NodeRecord[]) => {
    const [first] = wanted;
    if (first === undefined) return [];
    if (wanted.length === 1) return [await readNode(env, first)];
    return (await askCell(env, first, (cell) => cell.listNodes())).items;
  });
  const byId = new Map(lists.flat().map((node) => [node.id, node]));
  return rows.flatMap((row) => byId.get(row.id) ?? []);
}
