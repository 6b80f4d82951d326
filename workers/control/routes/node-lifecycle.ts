// What an operator asks of nodes: cordon, uncordon, drain, remove, revoke, and a rebalance over cells.
import { createRoute } from "@hono/zod-openapi";
import { Node, NodeRemove, Rebalance, RebalanceCreate } from "../../../contracts/api.ts";
import { type CellName, RegionName } from "../../../contracts/ids.ts";
import { recordAudit } from "../../../db/queries/audit.ts";
import { listCells, markNodeRevoked } from "../../../db/queries/nodes.ts";
import type { ControlEnv } from "../env.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { byOf } from "../http/deed.ts";
import { writeOnce } from "../http/idempotency.ts";
import { failField } from "../http/problem.ts";
import { IdempotencyHeader, json, jsonBody, NodeParam, SIGNED_IN, WRITE_PROBLEMS } from "../http/respond.ts";
import { forgetNames } from "../names/forget-name.ts";
import { askCell, nodeOf, readNode } from "../nodes/find-node.ts";
import { rebalanceCells } from "../nodes/rebalance-cells.ts";
import { makeSnapshotNow } from "../snapshots/make.ts";

const tags = ["Nodes"];
const security = SIGNED_IN;

const changeRoute = <Word extends "cordon" | "uncordon" | "drain">(
  word: Word,
  { summary, description }: { summary: string; description: string },
) =>
  createRoute({
    method: "post",
    path: `/v1/nodes/{node}/${word}`,
    operationId: `${word}Node`,
    tags,
    security,
    summary,
    description,
    request: { params: NodeParam, headers: IdempotencyHeader },
    responses: { 202: json(Node, "The node as its Cell sees it now."), ...WRITE_PROBLEMS },
  });
const cordonRoute = changeRoute("cordon", {
  summary: "Cordon a node",
  description: "Nothing new is placed there; what runs there stays.",
});
const uncordonRoute = changeRoute("uncordon", {
  summary: "Uncordon a node",
  description: "It takes placements again. Calls a drain off: what has not moved stays.",
});
const drainRoute = changeRoute("drain", {
  summary: "Drain a node",
  description:
    "Cordons it and moves everything away, each instance once its replacement is ready. `drain` of the node says how far it is and " +
    "what holds it.",
});
const removeRoute = createRoute({
  method: "delete",
  path: "/v1/nodes/{node}",
  operationId: "removeNode",
  tags,
  security,
  summary: "Remove a node",
  description:
    "For good: its credential is refused from then on. 409 while something runs there, unless `force`: then it is given up, " +
    "singletons included, and replaced elsewhere.",
  request: { params: NodeParam, query: NodeRemove, headers: IdempotencyHeader },
  responses: { 200: json(Node, "Removed, or was already."), ...WRITE_PROBLEMS },
});
const revokeRoute = createRoute({
  method: "post",
  path: "/v1/nodes/{node}/revoke",
  operationId: "revokeNode",
  tags,
  security,
  summary: "Revoke a node",
  description: "For a node that is not to be trusted: its credential is refused at once, whatever runs there.",
  request: { params: NodeParam, headers: IdempotencyHeader },
  responses: { 204: { description: "Revoked, or was already." }, ...WRITE_PROBLEMS },
});
const rebalanceRoute = createRoute({
  method: "post",
  path: "/v1/nodes/rebalance",
  operationId: "rebalance",
  tags,
  security,
  summary: "Plan or make a rebalance",
  description:
    "What emptying under-used nodes would gain, step by step, in every cell; `execute` makes the moves, start-first. A cell in which " +
    "one is under way answers with what is left of it; one that cannot be asked is named in `unanswered`.",
  request: { headers: IdempotencyHeader, ...jsonBody(RebalanceCreate) },
  responses: { 202: json(Rebalance, "The plan; `executing` says whether it is being carried out."), ...WRITE_PROBLEMS },
});

export const nodeLifecycle = newApi()
  .openapi(rebalanceRoute, async (c) => {
    const { actor } = c.get("caller");
    const input = c.req.valid("json");
    const act = async (): Promise<Rebalance> => {
      const cells = await cellsOf(c, input.region);
      // Before the first cell acts: what cannot be recorded is not done.
      if (input.execute) await audit(c, "node.rebalance", input.region ?? "all regions");
      return rebalanceCells(c.env, cells, { actor, execute: input.execute });
    };
    // A plan has no effect: each one is made anew.
    if (!input.execute) return c.json(await act(), 202);
    return c.json(await writeOnce(c, { operation: "node.rebalance", input, prefix: "change", act }), 202);
  })
  .openapi(cordonRoute, async (c) => c.json(await change(c, "cordon", c.req.valid("param").node), 202))
  .openapi(uncordonRoute, async (c) => c.json(await change(c, "uncordon", c.req.valid("param").node), 202))
  .openapi(drainRoute, async (c) => c.json(await change(c, "drain", c.req.valid("param").node), 202))
  .openapi(removeRoute, async (c) => {
    const { actor } = c.get("caller");
    const { force } = c.req.valid("query");
    const node = await nodeOf(c.env, c.req.valid("param").node, { removed: true });
    const input = { node: node.id, force };
    const act = async (): Promise<Node> => {
      await askCell(c.env, node, (cell) => cell.remove({ node: node.id, actor, force }));
      const by = { ...byOf(c), node: node.id };
      await markNodeRevoked(databaseOf(c.env), { ...by, action: "node.remove" });
      c.executionCtx.waitUntil(forgetNames(c.env));
      await tellRegion(c.env, node.cell);
      return readNode(c.env, node);
    };
    return c.json(await writeOnce(c, { operation: "node.remove", input, prefix: "change", act }), 200);
  })
  .openapi(revokeRoute, async (c) => {
    const { actor } = c.get("caller");
    const node = await nodeOf(c.env, c.req.valid("param").node, { removed: true });
    await askCell(c.env, node, (cell) => cell.revoke({ node: node.id, actor }));
    const by = { ...byOf(c), node: node.id };
    await markNodeRevoked(databaseOf(c.env), { ...by, action: "node.revoke" });
    c.executionCtx.waitUntil(forgetNames(c.env));
    await tellRegion(c.env, node.cell);
    return c.body(null, 204);
  });

/** Its peers believe a node's own tickets for as long as their snapshot names it. Where none can be made now, the next turn makes it. */
async function tellRegion(env: ControlEnv, cell: CellName): Promise<void> {
  const region = RegionName.parse(cell.slice(0, cell.lastIndexOf(".")));
  await makeSnapshotNow(env, region).catch((error: unknown) => {
    console.warn(JSON.stringify({ at: "snapshot", region, error: String(error).slice(0, 300) }));
  });
}

/** Under a key, once: a late repetition of a drain must not undo the uncordon that came after it. */
async function change(c: ControlRequest, word: "cordon" | "uncordon" | "drain", idOrName: string): Promise<Node> {
  const { actor } = c.get("caller");
  const node = await nodeOf(c.env, idOrName);
  const act = async (): Promise<Node> => {
    const changed = await askCell(c.env, node, (cell) => cell[word]({ node: node.id, actor }));
    await audit(c, `node.${word}`, node.id);
    return changed;
  };
  return writeOnce(c, { operation: `node.${word}`, input: { node: node.id }, prefix: "change", act });
}

function audit(c: ControlRequest, action: string, subject: string): Promise<void> {
  return recordAudit(databaseOf(c.env), { ...byOf(c), team: null, action, subject });
}

/** A cell's name begins with its region's. */
async function cellsOf(c: ControlRequest, region: RegionName | undefined): Promise<CellName[]> {
  const all = await listCells(databaseOf(c.env));
  if (region === undefined) return all;
  const cells = all.filter((cell) => cell.slice(0, cell.lastIndexOf(".")) === region);
  if (cells.length > 0) return cells;
  const message = `there are no nodes in the region ${region}`;
  return failField("unprocessable", { pointer: "/region", rule: "exists", message });
}
