// The other side of the comparison: hono and drizzle alone, over the same queries and the same objects, in the same workerd. It looks up
// who asks, because its answers depend on it, and nothing else: no rights, no audit, no limits, no validation.
import { Hono } from "hono";
import { AppId, type TeamId } from "../../../contracts/ids.ts";
import { ReleaseSpec } from "../../../contracts/release.ts";
import { listApiTokens } from "../../../db/queries/api-tokens.ts";
import { findApp, listApps, type AppRecord } from "../../../db/queries/apps.ts";
import { findCallerByApiToken } from "../../../db/queries/callers.ts";
import { listDomains } from "../../../db/queries/domains.ts";
import { findRegistry } from "../../../db/queries/registries.ts";
import { sha256Hex } from "../../../workers/control/sha256.ts";
import { authDatabase } from "../../../workers/control/auth/databases.ts";
import type { ControlEnv } from "../../../workers/control/env.ts";
import { databaseOf } from "../../../workers/control/http/database.ts";

export { App, Cell, Host, RateLimit, Region } from "../../../durable-objects/index.ts";
export { GatewayProbe } from "../../../workers/control/entrypoints/gateway-probe.ts";
export { InstanceProbe } from "../../../workers/control/entrypoints/instance-probe.ts";
export { OutboxSink } from "../../../workers/control/entrypoints/outbox-sink.ts";
export { Verifier } from "../../../workers/control/entrypoints/verifier.ts";

interface Bare {
  Bindings: ControlEnv;
  Variables: { team: TeamId; actor: string };
}
const app = new Hono<Bare>();
const known = new Map<string, AppRecord>();
const PAGE = { limit: 50 };

app.use(async (c, next) => {
  const token = (c.req.header("authorization") ?? "").slice("Bearer ".length);
  const caller = await findCallerByApiToken(authDatabase(c.env), await sha256Hex(token));
  if (caller?.team == null) return c.text("who?", 401);
  c.set("team", caller.team.id);
  c.set("actor", `token:${caller.token}`);
  await next();
  return undefined;
});

/** As the API does, an app is looked up once and kept. */
async function objectOf(env: ControlEnv, team: TeamId, id: string) {
  const key = `${team} ${id}`;
  const row = known.get(key) ?? (await findApp(databaseOf(env), team, id));
  if (row === null) throw new Error("no such app");
  known.set(key, row);
  return { row, object: env.APP.getByName(row.id) };
}

app.get("/v1/whoami", (c) => c.json({ team: c.get("team") }));
app.get("/v1/apps", async (c) => {
  const rows = await listApps(databaseOf(c.env), c.get("team"), PAGE);
  const items = rows.ok ? rows.value.items : [];
  return c.json({ items: await Promise.all(items.map((row) => c.env.APP.getByName(row.id).read({}))) });
});
app.get("/v1/tokens", async (c) => c.json(await listApiTokens(databaseOf(c.env), c.get("team"), PAGE)));
app.get("/v1/apps/:app", async (c) => {
  const { object } = await objectOf(c.env, c.get("team"), c.req.param("app"));
  return c.json(await object.read({}));
});
app.get("/v1/apps/:app/releases", async (c) => {
  const { object } = await objectOf(c.env, c.get("team"), c.req.param("app"));
  return c.json(await object.listReleases({ limit: 50 }));
});
app.get("/v1/apps/:app/rollouts", async (c) => {
  const { object } = await objectOf(c.env, c.get("team"), c.req.param("app"));
  return c.json(await object.listRollouts({ limit: 50 }));
});
app.get("/v1/apps/:app/instances", async (c) => {
  const { object } = await objectOf(c.env, c.get("team"), c.req.param("app"));
  return c.json(await object.listInstances({}));
});
app.get("/v1/apps/:app/domains", async (c) => {
  const { row } = await objectOf(c.env, c.get("team"), c.req.param("app"));
  return c.json(await listDomains(databaseOf(c.env), { team: row.team, app: row.id }, PAGE));
});
app.get("/v1/apps/:app/env", async (c) => {
  const { object } = await objectOf(c.env, c.get("team"), c.req.param("app"));
  return c.json(await object.read({}));
});
app.post("/v1/apps/:app/releases", async (c) => {
  const [{ object }, body] = await Promise.all([
    objectOf(c.env, c.get("team"), c.req.param("app")),
    c.req.json<{ spec: ReleaseSpec }>(),
    findRegistry(databaseOf(c.env), c.get("team"), "registry.test"),
  ]);
  const asked = { actor: c.get("actor"), idempotencyKey: null, privateImage: false };
  return c.json(await object.acceptRelease({ ...asked, spec: ReleaseSpec.parse(body.spec) }), 202);
});
/** Before the rounds: this workerd's own object of an app that the API made. */
app.post("/apps/:app", async (c) => {
  const { row, object } = await objectOf(c.env, c.get("team"), AppId.parse(c.req.param("app")));
  const { id, team, project, name, hostnames, regions, initialReplicas: replicas } = row;
  const facts = { app: id, team, project, name, hostnames, regions, replicas };
  return c.json(await object.create({ actor: "system", idempotencyKey: null, ...facts }));
});

export default { fetch: app.fetch } satisfies ExportedHandler<ControlEnv>;
