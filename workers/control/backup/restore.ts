// The restore's endpoints: by the setup token, because on an empty platform there is no operator yet.
import { z } from "zod";
import { BundleKey, BundleKeys, ChannelDocuments, LoadRequest } from "../../../contracts/backup.ts";
import { BerthEvent } from "../../../contracts/events.ts";
import { acceptEvents } from "../../../db/queries/outbox.ts";
import { equalSecrets } from "../auth/bearer.ts";
import { BUNDLE_BYTES_MAX, parseJson } from "../http/body.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { fail } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";
import { missingBundles, putBundle, putDocuments } from "./bundles.ts";
import { backupKeys } from "./keys.ts";
import { loadObjects } from "./objects.ts";

const EventsRequest = z.strictObject({ source: z.string().min(1), events: z.array(BerthEvent).min(1).max(200) });

export const restore = newApi();

/** Whether this control plane has the keys of the backup. */
restore.get("/restore/v1/keys", async (c) => {
  await requireSetupToken(c);
  return c.json({ fingerprints: (await backupKeys(c.env)).fingerprints });
});
/** What an object had not handed over yet when it was copied: in order and once, as ever. */
restore.post("/restore/v1/events", async (c) => {
  const { source, events } = await read(c, EventsRequest);
  return c.json(unwrap(await acceptEvents(databaseOf(c.env), { source, events })));
});
restore.post("/restore/v1/objects", async (c) => {
  await loadObjects(c.env, await read(c, LoadRequest));
  return c.json({ ok: true });
});
restore.post("/restore/v1/missing-bundles", async (c) => {
  const { keys } = await read(c, BundleKeys);
  return c.json({ missing: await missingBundles(c.env, keys) });
});
restore.put("/restore/v1/bundle", async (c) => {
  await requireSetupToken(c);
  const key = BundleKey.safeParse(c.req.query("key"));
  if (!key.success) return fail("invalid_request", "`key` must be the key of a bundle.");
  const bytes = Number(c.req.header("content-length") ?? NaN);
  if (!Number.isInteger(bytes) || bytes < 1 || bytes > BUNDLE_BYTES_MAX || c.req.raw.body === null)
    return fail("invalid_request", `A bundle has 1 to ${BUNDLE_BYTES_MAX} bytes, and says how many.`);
  await putBundle(c.env, key.data, c.req.raw.body, bytes);
  return c.body(null, 204);
});
restore.post("/restore/v1/documents", async (c) => {
  const { documents } = await read(c, ChannelDocuments);
  await putDocuments(c.env, documents);
  return c.json({ ok: true });
});

async function read<Schema extends z.ZodType>(c: ControlRequest, schema: Schema): Promise<z.infer<Schema>> {
  await requireSetupToken(c);
  const parsed = schema.safeParse(parseJson(new Uint8Array(await c.req.arrayBuffer())));
  return parsed.success ? parsed.data : fail("invalid_request", z.prettifyError(parsed.error).slice(0, 1_000));
}

async function requireSetupToken(c: ControlRequest): Promise<void> {
  const given = /^Bearer (.+)$/.exec(c.req.header("authorization") ?? "")?.[1];
  if (given === undefined || !(await equalSecrets(given, c.env.SETUP_TOKEN))) {
    fail("unauthenticated", "A restore needs the installation's setup token.");
  }
}
