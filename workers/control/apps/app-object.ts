// The App object of an app, as routes use it: with the facts that Postgres owns handed over where the object lacks them.
import type { Accepted, App } from "../../../contracts/api.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { AppRecord } from "../../../db/queries/apps.ts";
import type { AppRpc } from "../../../durable-objects/rpc.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import type { ControlRequest } from "../http/context.ts";
import { askedBy } from "../http/idempotency.ts";
import { unwrap } from "../http/respond.ts";

/** Asks, and where the object was never created (a crash between Postgres and it) creates it and asks again. */
export async function askApp<Value>(
  c: ControlRequest,
  app: AppRecord,
  call: (object: AppRpc) => Promise<Result<Value>>,
  options: { readonly repeatable: boolean },
): Promise<Value> {
  const tried = () => ask(() => call(c.env.APP.getByName(app.id)), options);
  const result = await tried();
  if (result.ok || result.failure.code !== "not_found" || app.destroyedAtMs !== null) return unwrap(result);
  const read = await c.env.APP.getByName(app.id).read({});
  if (read.ok || read.failure.code !== "not_found") return unwrap(result);
  await createObject(c.env, app, { actor: app.createdBy, idempotencyKey: null });
  return unwrap(await tried());
}

/** A write of the App object under the request's idempotency key. */
export function changeApp<Value>(
  c: ControlRequest,
  app: AppRecord,
  call: (object: AppRpc, asked: { actor: string; idempotencyKey: string | null }) => Promise<Result<Value>>,
): Promise<Value> {
  const asked = askedBy(c);
  return askApp(c, app, (object) => call(object, asked), { repeatable: asked.idempotencyKey !== null });
}

/** Harmless when repeated: the object is created once. */
export async function createObject(
  env: ControlEnv,
  app: AppRecord,
  asked: { actor: string; idempotencyKey: string | null },
): Promise<App> {
  const { id, team, project, name, hostnames, regions, initialReplicas } = app;
  const facts = { app: id, team, project, name, hostnames, regions, replicas: initialReplicas };
  return unwrap(await ask(() => env.APP.getByName(id).create({ ...asked, ...facts }), { repeatable: true }));
}

/** With the URL that visitors use: scheme and port are known to the Worker alone. */
export function shownApp(env: ControlEnv, app: App): App {
  const [hostname] = app.hostnames;
  if (hostname === undefined) return app;
  const url = new URL(env.EDGE_ORIGIN);
  url.hostname = hostname;
  return { ...app, url: url.origin };
}

/** 202 with the rollout to watch, where there is one. */
export function accepted(c: ControlRequest, { app, release, rollout }: Accepted): Accepted {
  c.header("location", rollout === null ? `/v1/apps/${app}` : `/v1/apps/${app}/rollouts/${rollout.id}`);
  return { app, release, rollout };
}
