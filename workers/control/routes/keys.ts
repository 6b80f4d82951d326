// The platform's keys, for its operators: what there is, how old it is, and the steps of a rotation. No key is ever in an answer.
import { createRoute, z } from "@hono/zod-openapi";
import { KeyHold, KeyKind, KeyPrepare, KeyStep, KeySweep, PlatformKeys } from "../../../contracts/keys.ts";
import { isOld } from "../../../core/key-rules.ts";
import { newestSweep, type KeyRow } from "../../../db/queries/platform-keys.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { aboutDeed } from "../http/deed.ts";
import { databaseOf } from "../http/database.ts";
import { json, jsonBody, READ_PROBLEMS, SIGNED_IN, WRITE_PROBLEMS } from "../http/respond.ts";
import { givenOf, keyedEnv, type KeyedEnv } from "../keys/keyed.ts";
import { keyRows } from "../keys/publish.ts";
import { activate, findKey, prepare, retire, waitingFor } from "../keys/rotate.ts";
import { shown, sweepKeys } from "../keys/sweep.ts";

const tags = ["Keys"];
const security = SIGNED_IN;
const OfKind = z.object({ kind: KeyKind });
const OfVersion = z.object({ kind: KeyKind, version: z.string().min(1).max(256) });
/** hold null: it is done. */
const Stepped = z.object({ version: z.string(), hold: KeyHold.nullable() });

const listRoute = createRoute({
  method: "get",
  path: "/v1/keys",
  operationId: "listKeys",
  tags,
  security,
  summary: "List the platform's keys",
  responses: { 200: json(PlatformKeys, "By kind and age, without the keys themselves."), ...READ_PROBLEMS },
});
const prepareRoute = createRoute({
  method: "post",
  path: "/v1/keys/{kind}",
  operationId: "prepareKey",
  tags,
  security,
  summary: "Prepare a key",
  description:
    "From now on it is verified by, and nothing is made by it yet. Repeated, it answers with the one that waits.",
  request: { params: OfKind, ...jsonBody(KeyPrepare) },
  responses: { 200: json(Stepped, "Its version."), ...WRITE_PROBLEMS },
});
const activateRoute = createRoute({
  method: "post",
  path: "/v1/keys/{kind}/{version}/activate",
  operationId: "activateKey",
  tags,
  security,
  summary: "Take a prepared key into use",
  description: "The one in use before is believed still. While somebody has not heard of the new one, hold says who.",
  request: { params: OfVersion, ...jsonBody(KeyStep) },
  responses: { 200: json(Stepped, "Done, or what holds it."), ...WRITE_PROBLEMS },
});
const retireRoute = createRoute({
  method: "post",
  path: "/v1/keys/{kind}/{version}/retire",
  operationId: "retireKey",
  tags,
  security,
  summary: "Believe an old key no more",
  description: "Its material is forgotten. While something may need it, hold says what.",
  request: { params: OfVersion, ...jsonBody(KeyStep) },
  responses: { 200: json(Stepped, "Done, or what holds it."), ...WRITE_PROBLEMS },
});
const sweepRoute = createRoute({
  method: "post",
  path: "/v1/keys/kek/sweep",
  operationId: "sweepKeys",
  tags,
  security,
  summary: "Wrap what is stored under the key-encryption key of now",
  description: "One batch; repeated until endedAtMs is set. Stopped, it is gone on with.",
  request: jsonBody(z.strictObject({ again: z.boolean().default(false) })),
  responses: { 200: json(KeySweep, "How far it has come."), ...WRITE_PROBLEMS },
});

export const keys = newApi()
  .openapi(listRoute, async (c) => {
    const env = await envOf(c);
    const [rows, waiting, sweep] = await Promise.all([
      keyRows(env.given),
      waitingFor(env),
      newestSweep(databaseOf(env)),
    ]);
    const named = (nodes: typeof waiting.ticket) => nodes.map(({ node, name }) => ({ node, name }));
    return c.json(
      {
        items: rows.map(shownKey),
        sweep: sweep === null ? null : shown(sweep),
        waitingFor: { ticket: named(waiting.ticket), credential: named(waiting.credential) },
      },
      200,
    );
  })
  .openapi(sweepRoute, async (c) => {
    return c.json(await sweepKeys(await envOf(c), c.req.valid("json").again), 200);
  })
  .openapi(prepareRoute, async (c) => {
    const { kind } = c.req.valid("param");
    const version = await prepare(await envOf(c), c.get("caller").actor, kind, c.req.valid("json"));
    aboutDeed(c, { subject: `${kind}/${version}` });
    return c.json({ version, hold: null }, 200);
  })
  .openapi(activateRoute, async (c) => {
    const { kind, version } = c.req.valid("param");
    const { force } = c.req.valid("json");
    const env = await envOf(c);
    const hold = await activate(env, c.get("caller").actor, await findKey(env, kind, version), force);
    aboutDeed(c, { subject: `${kind}/${version}`, after: { force, done: hold === null } });
    return c.json({ version, hold }, 200);
  })
  .openapi(retireRoute, async (c) => {
    const { kind, version } = c.req.valid("param");
    const { force } = c.req.valid("json");
    const env = await envOf(c);
    const hold = await retire(env, c.get("caller").actor, await findKey(env, kind, version), force);
    aboutDeed(c, { subject: `${kind}/${version}`, after: { force, done: hold === null } });
    return c.json({ version, hold }, 200);
  });

const envOf = (c: ControlRequest): Promise<KeyedEnv> =>
  keyedEnv(givenOf(c.env), (work) => c.executionCtx.waitUntil(work));

function shownKey(row: KeyRow) {
  const { kind, version, state, createdAtMs, activatedAtMs, replacedAtMs, retiredAtMs } = row;
  const old = state === "current" && isOld(kind, activatedAtMs ?? createdAtMs, Date.now());
  return { kind, version, state, createdAtMs, activatedAtMs, replacedAtMs, retiredAtMs, isOld: old };
}
