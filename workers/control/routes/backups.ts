// What `berth backup` asks for: objects' state as lines, the installation's keys wrapped, and a record of what was made.
import { createRoute, z } from "@hono/zod-openapi";
import {
  AgentChannel,
  BackupKeys,
  BackupRecord,
  BackupRecordCreate,
  BundleKey,
  DumpRequest,
  ObjectPage,
} from "../../../contracts/backup.ts";
import { recordAudit } from "../../../db/queries/audit.ts";
import { addBackup, listBackups } from "../../../db/queries/backups.ts";
import { agentChannel, readBundle } from "../backup/bundles.ts";
import { backupKeys } from "../backup/keys.ts";
import { dumpObjects } from "../backup/objects.ts";
import { newApi } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { aboutDeed, byOf } from "../http/deed.ts";
import { fail } from "../http/problem.ts";
import { json, jsonBody, READ_PROBLEMS, SIGNED_IN, WRITE_PROBLEMS } from "../http/respond.ts";

const tags = ["Backups"];
const security = SIGNED_IN;

const dumpRoute = createRoute({
  method: "post",
  path: "/v1/backup/objects",
  operationId: "dumpObjects",
  tags,
  security,
  summary: "Read objects' state",
  description: "For a backup: each object's rows as of one moment, as lines of JSON. Sealed values stay sealed.",
  request: jsonBody(DumpRequest),
  responses: {
    200: { description: "One line per page.", content: { "application/x-ndjson": { schema: ObjectPage } } },
    ...WRITE_PROBLEMS,
  },
});
const keysRoute = createRoute({
  method: "post",
  path: "/v1/backup/keys",
  operationId: "wrapKeys",
  tags,
  security,
  summary: "Wrap the installation's keys",
  description: "For the age recipient that the control plane was set up with, and for nobody else.",
  responses: { 200: json(BackupKeys, "Wrapped, with fingerprints."), ...WRITE_PROBLEMS },
});
const channelRoute = createRoute({
  method: "get",
  path: "/v1/backup/agent-channel",
  operationId: "readAgentChannel",
  tags,
  security,
  summary: "Read what agents and servers are installed from",
  responses: { 200: json(AgentChannel, "Documents as they are kept, and the bundles they name."), ...READ_PROBLEMS },
});
const bundleRoute = createRoute({
  method: "get",
  path: "/v1/backup/bundle",
  operationId: "readBundle",
  tags,
  security,
  summary: "Read a bundle",
  description: "For a backup: the bytes under this key. Each reading is in the audit log.",
  request: { query: z.object({ key: BundleKey }) },
  responses: {
    200: {
      description: "Its bytes.",
      content: { "application/octet-stream": { schema: z.string().meta({ format: "binary" }) } },
    },
    ...READ_PROBLEMS,
  },
});
const listRoute = createRoute({
  method: "get",
  path: "/v1/backups",
  operationId: "listBackups",
  tags,
  security,
  summary: "List backups",
  responses: { 200: json(z.object({ items: z.array(BackupRecord) }), "The last 50, newest first."), ...READ_PROBLEMS },
});
const recordRoute = createRoute({
  method: "post",
  path: "/v1/backups",
  operationId: "recordBackup",
  tags,
  security,
  summary: "Record a backup that was made",
  request: jsonBody(BackupRecordCreate),
  responses: { 201: json(BackupRecord, "Recorded, or was already."), ...WRITE_PROBLEMS },
});

export const backups = newApi()
  .openapi(dumpRoute, (c) => {
    const { objects } = c.req.valid("json");
    return c.body(dumpObjects(c.env, objects), 200, { "content-type": "application/x-ndjson" }) as never;
  })
  .openapi(keysRoute, async (c) => {
    const subject = c.env.BACKUP_RECIPIENT ?? "none";
    await recordAudit(databaseOf(c.env), {
      ...{ ...byOf(c), team: null, action: "backup.keys", subject },
    });
    return c.json(await backupKeys(c.env), 200);
  })
  .openapi(channelRoute, async (c) => {
    return c.json(await agentChannel(c.env), 200);
  })
  .openapi(bundleRoute, async (c) => {
    const { key } = c.req.valid("query");
    const stored = await readBundle(c.env, key);
    if (stored === null) return fail("not_found", "This bundle is not stored any more.");
    // Whatever a team keeps in its folders is in it: who reads one is to be known.
    await recordAudit(databaseOf(c.env), {
      ...{ ...byOf(c), team: null, action: "backup.bundle", subject: key },
    });
    const length = { "content-length": String(stored.size) };
    return c.body(stored.body, 200, { "content-type": "application/octet-stream", ...length }) as never;
  })
  .openapi(listRoute, async (c) => {
    return c.json({ items: await listBackups(databaseOf(c.env)) }, 200);
  })
  .openapi(recordRoute, async (c) => {
    const made = c.req.valid("json");
    aboutDeed(c, { subject: made.id });
    return c.json(await addBackup(databaseOf(c.env), made), 201);
  });
