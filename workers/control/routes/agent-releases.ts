// Agent releases: an operator uploads a bundle and its signed manifest, and has nodes brought over to it, region by region.
import { createRoute, z } from "@hono/zod-openapi";
import {
  AGENT_BUNDLE_BYTES_MAX,
  AgentRelease,
  AgentReleaseCreate,
  AgentUpgrade,
  AgentUpgradeChange,
  AgentUpgradeCreate,
  AgentUpgrades,
  Sha256,
} from "../../../contracts/agent-release.ts";
import { recordAudit } from "../../../db/queries/audit.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { byOf } from "../http/deed.ts";
import { writeOnce } from "../http/idempotency.ts";
import { fail, failField } from "../http/problem.ts";
import { IdempotencyHeader, json, jsonBody, READ_PROBLEMS, SIGNED_IN, WRITE_PROBLEMS } from "../http/respond.ts";
import { agentBytesKey, findRelease, listReleases, publishRelease } from "../releases/store.ts";
import { changeUpgrades, readUpgrades, startUpgrade } from "../releases/upgrades.ts";

const tags = ["Nodes"];
const security = SIGNED_IN;
const headers = IdempotencyHeader;

const putBytesRoute = createRoute({
  method: "put",
  path: "/v1/agent-bundles/{sha256}",
  operationId: "putAgentBundle",
  tags,
  security,
  summary: "Upload an agent's bundle",
  description: "Its bytes, under their SHA-256. A release then names it. The same upload again changes nothing.",
  request: {
    params: z.object({ sha256: Sha256 }),
    headers,
    body: {
      required: true,
      content: { "application/octet-stream": { schema: z.string().meta({ format: "binary" }) } },
    },
  },
  responses: { 204: { description: "Stored." }, ...WRITE_PROBLEMS },
});
const publishRoute = createRoute({
  method: "post",
  path: "/v1/agent-releases",
  operationId: "publishAgentRelease",
  tags,
  security,
  summary: "Publish an agent release",
  description:
    "A manifest signed by one of the installation's release keys, for bytes uploaded before. No node changes by it: an upgrade does that.",
  request: { headers, ...jsonBody(AgentReleaseCreate) },
  responses: { 201: json(AgentRelease, "Published, or was already."), ...WRITE_PROBLEMS },
});
const listRoute = createRoute({
  method: "get",
  path: "/v1/agent-releases",
  operationId: "listAgentReleases",
  tags,
  security,
  summary: "List agent releases",
  responses: { 200: json(z.object({ items: z.array(AgentRelease) }), "All of them, newest first."), ...READ_PROBLEMS },
});
const startRoute = createRoute({
  method: "post",
  path: "/v1/agent-upgrades",
  operationId: "startAgentUpgrade",
  tags,
  security,
  summary: "Bring nodes over to an agent release",
  description:
    "One node, then its cell, then a tenth of the cells, then all; each stage once every node of the one before is heard with the new " +
    "version and all that was ready there still is. A node that refuses or reverts stops it. Without `region`: one region after the other.",
  request: { headers, ...jsonBody(AgentUpgradeCreate) },
  responses: { 202: json(AgentUpgrade, "Started, in the first region."), ...WRITE_PROBLEMS },
});
const readRoute = createRoute({
  method: "get",
  path: "/v1/agent-upgrades",
  operationId: "readAgentUpgrades",
  tags,
  security,
  summary: "Read agent upgrades",
  responses: { 200: json(AgentUpgrades, "Of each region, the one under way or the last one."), ...READ_PROBLEMS },
});
const changeRoute = createRoute({
  method: "post",
  path: "/v1/agent-upgrades/{word}",
  operationId: "changeAgentUpgrades",
  tags,
  security,
  summary: "Pause, resume or abort agent upgrades",
  description: "Who has the new agent keeps it. Without `region`: wherever one is under way.",
  request: {
    params: z.object({ word: z.enum(["pause", "resume", "abort"]) }),
    headers,
    ...jsonBody(AgentUpgradeChange),
  },
  responses: { 200: json(AgentUpgrades, "What was changed, as it is now."), ...WRITE_PROBLEMS },
});

export const agentReleases = newApi()
  .openapi(putBytesRoute, async (c) => {
    const { sha256 } = c.req.valid("param");
    try {
      const { body, bytes } = bytesOf(c);
      await c.env.BUNDLES.put(agentBytesKey(sha256), body, { sha256, bytes });
    } catch (error) {
      if (!/10037|checksum|digest/i.test(String(error))) throw error;
      failField("unprocessable", { pointer: "path:sha256", rule: "sha256", message: "is not the hash of the body" });
    }
    return c.body(null, 204);
  })
  .openapi(publishRoute, async (c) => {
    const release = await publishRelease(c.env, c.req.valid("json").manifest);
    await audit(c, "agent.publish", release.version);
    return c.json(release, 201);
  })
  .openapi(listRoute, async (c) => {
    return c.json({ items: await listReleases(c.env) }, 200);
  })
  .openapi(startRoute, async (c) => {
    const { actor } = c.get("caller");
    const input = c.req.valid("json");
    const act = async (id: string): Promise<AgentUpgrade> => {
      const release = await findRelease(c.env, input.version);
      if (release === null) {
        const message = "names no release that was published here";
        return failField("unprocessable", { pointer: "/version", rule: "exists", message });
      }
      await audit(c, "agent.upgrade", input.version);
      return startUpgrade(c.env, { release, actor, id, region: input.region });
    };
    return c.json(await writeOnce(c, { operation: "agent.upgrade", input, prefix: "upg", act }), 202);
  })
  .openapi(readRoute, async (c) => {
    return c.json({ items: await readUpgrades(c.env) }, 200);
  })
  .openapi(changeRoute, async (c) => {
    const { actor } = c.get("caller");
    const { word: change } = c.req.valid("param");
    const { region, reason } = c.req.valid("json");
    const because = reason === undefined ? {} : { reason };
    await audit(c, `agent.upgrade_${change}`, region ?? "all regions");
    const items = await changeUpgrades(c.env, { change, actor, ...because }, region);
    if (items.length === 0) fail("conflict", `No upgrade is under way${region === undefined ? "" : ` in ${region}`}.`);
    return c.json({ items }, 200);
  });

/** Stores take a stream only with a known length. */
function bytesOf(c: ControlRequest): { body: ReadableStream; bytes: number } {
  const length = Number(c.req.header("content-length") ?? NaN);
  if (!Number.isInteger(length) || length < 1) {
    failField("invalid_request", { pointer: "header:content-length", rule: "required", message: "must be given" });
  }
  if (length > AGENT_BUNDLE_BYTES_MAX) {
    fail("payload_too_large", `An agent's bundle may have at most ${AGENT_BUNDLE_BYTES_MAX} bytes.`);
  }
  const { body } = c.req.raw;
  if (body === null)
    failField("invalid_request", { pointer: "", rule: "required", message: "a bundle must not be empty" });
  return { body, bytes: length };
}

function audit(c: ControlRequest, action: string, subject: string): Promise<void> {
  return recordAudit(databaseOf(c.env), { ...byOf(c), team: null, action, subject });
}
