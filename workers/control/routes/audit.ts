// The audit: of the caller's team, and for operators of the installation. Listed and exported; nothing here can change it.
import { createRoute } from "@hono/zod-openapi";
import { page } from "../../../contracts/api.ts";
import type { TeamId } from "../../../contracts/ids.ts";
import { AuditExportQuery, AuditQuery, AuditRecord } from "../../../contracts/teams.ts";
import { listAudit, type AuditFilter } from "../../../db/queries/audit.ts";
import { stillAllowed } from "../http/authorise.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { json, READ_PROBLEMS, SIGNED_IN, unwrap } from "../http/respond.ts";
import { auditExport } from "../streams/audit-export.ts";

const security = SIGNED_IN;
const listed = { 200: json(page(AuditRecord), "A page of entries, newest first."), ...READ_PROBLEMS };
const exported = {
  200: { description: "One entry a line, oldest first.", content: { "application/x-ndjson": { schema: AuditRecord } } },
  ...READ_PROBLEMS,
};

const listRoute = createRoute({
  method: "get",
  path: "/v1/audit",
  operationId: "listAudit",
  tags: ["Audit"],
  security,
  summary: "List the team's audit",
  description:
    "Every write and every denial: who, what, from where, before and after. Nothing can change or remove an entry.",
  request: { query: AuditQuery },
  responses: listed,
});
const exportRoute = createRoute({
  method: "get",
  path: "/v1/audit/export",
  operationId: "exportAudit",
  tags: ["Audit"],
  security,
  summary: "Export the team's audit",
  request: { query: AuditExportQuery },
  responses: exported,
});
const listOperatorRoute = createRoute({
  method: "get",
  path: "/v1/operator/audit",
  operationId: "listOperatorAudit",
  tags: ["Audit"],
  security,
  summary: "List the installation's audit",
  description:
    "For operators: what was done to the installation, sign-ins, and who was refused what. Nothing of teams.",
  request: { query: AuditQuery },
  responses: listed,
});
const exportOperatorRoute = createRoute({
  method: "get",
  path: "/v1/operator/audit/export",
  operationId: "exportOperatorAudit",
  tags: ["Audit"],
  security,
  summary: "Export the installation's audit",
  request: { query: AuditExportQuery },
  responses: exported,
});

export const audit = newApi()
  .openapi(listRoute, async (c) => {
    return c.json(unwrap(await listAudit(databaseOf(c.env), c.get("caller").team.id, c.req.valid("query"))), 200);
  })
  .openapi(exportRoute, (c) => exportOf(c, c.get("caller").team.id, c.req.valid("query")))
  .openapi(listOperatorRoute, async (c) => {
    return c.json(unwrap(await listAudit(databaseOf(c.env), null, c.req.valid("query"))), 200);
  })
  .openapi(exportOperatorRoute, (c) => exportOf(c, null, c.req.valid("query")));

/** The route's types know answers of JSON and text only. */
function exportOf(c: ControlRequest, team: TeamId | null, filter: AuditFilter): never {
  const lines = auditExport(databaseOf(c.env), {
    ...{ team, filter, signal: c.req.raw.signal, stillAllowed: stillAllowed(c) },
    waitUntil: (work) => c.executionCtx.waitUntil(work),
  });
  const headers = { "content-type": "application/x-ndjson; charset=utf-8", "cache-control": "no-store" };
  return c.body(lines, 200, headers) as never;
}
